// Package vfs is the file system that the file engines need: few operations,
// each a single call to the host where possible, with the syncs needed for
// durability as separate operations.
//
// [OS] is a directory of the operating system, natively or through WASI. The
// package crash beside this one has a simulated disk for tests, which loses and
// tears unsynced data.
package vfs

import (
	"errors"
	"io"
	"syscall"
)

// FS is a directory and what lies below it.
//
// Names are relative to it, with forward slashes, without "." and ".." and
// without a slash at either end; the directory itself is "". A caller that makes
// names from a stranger's input must ensure this.
//
// Files are made for their owner alone (0600), and directories as well (0700).
//
// An error is or wraps a [syscall.Errno]. ENOENT, EEXIST, ENOTEMPTY, ENOSPC,
// EROFS and EIO are the same on every platform. An operation that fails has
// changed nothing, except WriteAt and Sync; see there.
//
// An FS and its files are not safe for concurrent use.
type FS interface {
	// OpenFile opens a file.
	OpenFile(name string, flag Flag) (File, error)

	// Mkdir makes a directory in one that exists.
	Mkdir(name string) error

	// Remove removes a file.
	Remove(name string) error

	// RemoveDir removes an empty directory. For any other it returns ENOTEMPTY.
	RemoveDir(name string) error

	// Rename gives a file or a directory another name. It replaces a file that
	// already has the new name: whoever opens that name meanwhile finds one or
	// the other.
	Rename(oldName, newName string) error

	// ReadDir lists a directory, in no order.
	ReadDir(name string) ([]Entry, error)

	// OpenDir opens a directory, to list it bit by bit or to sync its names in the
	// background.
	OpenDir(name string) (Directory, error)

	// Stat describes a file or directory.
	Stat(name string) (Info, error)

	// SyncDir returns when the names in a directory, those made, removed and
	// renamed, would survive a power loss. It says nothing about the contents of
	// the files and directories that have these names.
	SyncDir(name string) error
}

// File is an open file.
type File interface {
	// ReadAt is that of [io.ReaderAt]. At the end of the file it returns fewer
	// bytes and io.EOF, in one call to the host: it does not ask a second time
	// whether that was really the end.
	io.ReaderAt

	// WriteAt is that of [io.WriterAt]. If it fails, any part of the data may
	// have been written.
	io.WriterAt

	// Truncate changes the length.
	Truncate(size int64) error

	// Size returns the length.
	Size() (int64, error)

	// Sync returns when contents and length would survive a power loss. It says
	// nothing about the name: that is for SyncDir.
	//
	// After a failed Sync nobody knows what is on the disk, and a later one that
	// succeeds does not change that: systems may forget what they could not
	// write. Only what is written again and then synced is durable.
	Syncer
}

// Directory is an open directory.
type Directory interface {
	// Next returns some more entries, in no order, and none at the end. What is
	// added or removed meanwhile may be among them or not.
	Next() ([]Entry, error)

	// Sync is SyncDir.
	Syncer
}

// Syncer is what can be synced.
type Syncer interface {
	// Sync syncs and waits for it. If a sync runs in the background, it waits for
	// that one, and makes another only for what was changed since.
	Sync() error

	// SyncBehind begins a sync in the background, of what was opened with Background
	// or OpenDir, and reports that it is not over. Asked again, it reports whether that
	// sync is over, and then its outcome, once. It is for what was there when it began.
	// Where nothing is done in the background, it waits and is over at once.
	//
	// The outcome of a sync that is closed before it is over is never known.
	SyncBehind() (over bool, err error)

	// Close closes the handle. It syncs nothing.
	Close() error
}

// Flag says how to open a file.
type Flag uint8

// Flags of OpenFile. Without ReadWrite a file is opened for reading.
const (
	ReadWrite  Flag = 1 << iota // for reading and writing
	Create                      // make it if it does not exist
	Exclusive                   // with Create: EEXIST if it exists
	Truncate                    // truncate the file to nothing
	Background                  // its SyncBehind does not wait
)

// Kind is what an entry of a directory is.
type Kind uint8

// Kinds.
const (
	Regular Kind = iota // a file
	Dir                 // a directory
	Other               // anything else: not used here
)

// Entry is a name in a directory.
type Entry struct {
	Name string
	Kind Kind
}

// Info describes a file or directory.
type Info struct {
	Kind Kind
	Size int64
}

// NotExist reports whether an operation failed because a name, or a directory on
// the way to it, does not exist.
func NotExist(err error) bool { return errors.Is(err, syscall.ENOENT) }

// Exist reports whether an operation failed because a name is taken.
func Exist(err error) bool { return errors.Is(err, syscall.EEXIST) }

// NotEmpty reports whether a directory could not be removed because something is
// in it.
func NotEmpty(err error) bool { return errors.Is(err, syscall.ENOTEMPTY) }

// NoSpace reports whether there was no room, on the disk or in a quota.
func NoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// TooManyOpen reports whether an open failed because too much is open already.
func TooManyOpen(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// Denied reports whether the operation is not allowed here, for lack of
// permission or because nothing may be written at all.
func Denied(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
}
