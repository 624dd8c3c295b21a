// Package dirlock keeps a directory to one process at a time.
//
// The lock is an operating system lock on the directory and on a file in it. It
// ends with [Lock.Close] or with the process, however that ends: there is never a
// stale lock to remove. The file says who holds the lock, for people and for the
// error that others get. Its contents play no part in locking.
//
// Somebody may remove the file, or replace it, while the lock is held: the lock on
// the directory still keeps others out. Where directories cannot be locked, as on
// NFS, the lock on the file is all there is, and removing the file lets a second
// process in. On Windows nobody can remove the file while it is locked.
package dirlock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// FileName is the lock file. Close leaves it behind, empty: where directories
// cannot be locked, removing it would let two processes lock two files of the same
// name.
const FileName = ".waddle.lock"

// ErrInUse is what every [*InUseError] matches under [errors.Is].
var ErrInUse = errors.New("dirlock: directory is in use")

// InUseError is returned when somebody else holds the lock. Test for it with
// [errors.As].
type InUseError struct {
	Dir   string
	PID   int       // of the holder, 0 if it gave none
	Host  string    // of the holder; on a shared disk it may be another machine
	Since time.Time // when the holder began, or the zero time
}

// Error implements error.
func (e *InUseError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dirlock: directory %s is in use by ", e.Dir)
	if e.PID == 0 {
		b.WriteString("another process")
	} else {
		fmt.Fprintf(&b, "process %d", e.PID)
	}
	if e.Host != "" {
		fmt.Fprintf(&b, " on %s", e.Host)
	}
	if !e.Since.IsZero() {
		fmt.Fprintf(&b, " since %s", e.Since.Format(time.RFC3339))
	}
	b.WriteString("; stop it, or use another directory")
	return b.String()
}

// Is implements the interface of [errors.Is].
func (e *InUseError) Is(target error) bool { return target == ErrInUse }

// Lock is a lock that is held.
type Lock struct {
	dir    string
	before time.Time
	f      *os.File
	pinned *os.File // what else is held, or nil
	once   sync.Once
}

// How often Acquire starts again because somebody removes the lock file.
const attempts = 16

// lockFile is lock; tests replace it by a file system without locks.
var lockFile = lock

// ErrNoLocks is returned when files cannot be locked. It is [errors.ErrUnsupported]
// as well.
var ErrNoLocks = fmt.Errorf("dirlock: the file system has no file locks: %w", errors.ErrUnsupported)

// Acquire locks an existing directory for this process. It does not wait: if this
// process or another holds the lock, it returns an [*InUseError]. Other errors are
// those of the file system, or [ErrNoLocks].
//
// On a network file system the lock is only as good as that file system's locks.
func Acquire(dir string) (*Lock, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("dirlock: %w", err)
	}
	defer root.Close()
	for range attempts {
		l, err := acquire(root, dir)
		if l != nil || err != nil {
			return l, err
		}
	}
	return nil, fmt.Errorf("dirlock: somebody keeps removing %s in %s", FileName, dir)
}

// acquire tries once. It returns neither a lock nor an error if the file that it
// locked is no longer in the directory.
func acquire(root *os.Root, dir string) (*Lock, error) {
	l := &Lock{dir: dir}
	taken := false
	defer func() {
		if !taken {
			l.release()
		}
	}()
	var held bool
	if l.pinned, held = pin(root); held {
		e := reader(root)
		e.Dir = dir
		return nil, e
	}
	var err error
	if l.f, err = open(root); err != nil {
		return nil, fmt.Errorf("dirlock: %s: %w", dir, err)
	}
	held, err = lockFile(l.f)
	switch {
	case noLocks(err):
		return nil, fmt.Errorf("%w (%v): %s could be used by more than one process; use a directory on a local disk, or mount "+
			"this one with locks (NFS: without nolock, with a server that has a lock manager; FUSE: with a driver that passes flock on)", ErrNoLocks, err, dir)
	case err != nil:
		return nil, fmt.Errorf("dirlock: locking %s in %s: %w", FileName, dir, err)
	case held:
		e := holder(l.f)
		e.Dir = dir
		return nil, e
	case !current(root, l.f) || !l.pinFile():
		return nil, nil
	}
	if info, err := l.f.Stat(); err == nil {
		l.before = info.ModTime()
	}
	if err := sign(l.f); err != nil {
		return nil, fmt.Errorf("dirlock: writing %s in %s: %w", FileName, dir, err)
	}
	taken = true
	return l, nil
}

// Dir returns the directory as it was given to Acquire.
func (l *Lock) Dir() string { return l.dir }

// Before returns when the previous holder took or released the lock, by the clock
// at that time. For a new lock, that is now.
func (l *Lock) Before() time.Time { return l.before }

// Close releases the lock. Closing twice is not an error.
func (l *Lock) Close() (err error) {
	l.once.Do(func() {
		// An empty file means that nobody holds the lock.
		err = errors.Join(l.f.Truncate(0), l.release())
	})
	return err
}

// release closes what is open, which unlocks it.
func (l *Lock) release() error {
	var errs []error
	for _, f := range [...]*os.File{l.f, l.pinned} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// open opens or makes the lock file, unless something else has its name.
func open(root *os.Root) (*os.File, error) {
	info, err := root.Lstat(FileName)
	if err == nil && !info.Mode().IsRegular() {
		return nil, notRegular(info)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := root.OpenFile(FileName, os.O_RDWR|os.O_CREATE|openFlags, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = notRegular(info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func notRegular(info fs.FileInfo) error {
	return fmt.Errorf("%s is not a regular file but %s: remove it", FileName, info.Mode().Type())
}

// current reports whether the file that was locked is still the one in the
// directory.
func current(root *os.Root, f *os.File) bool {
	there, err1 := root.Lstat(FileName)
	here, err2 := f.Stat()
	return err1 == nil && err2 == nil && os.SameFile(there, here)
}

// sign writes who holds the lock. On a full disk the file does not say. The lock is
// just as good, and the store, once opened, can end sessions to make room.
func sign(f *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	text := fmt.Sprintf("%d\n%s\n%s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err = f.WriteAt([]byte(text), 0); errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return f.Truncate(0)
	}
	return err
}

// Holder returns the process that seems to hold the lock of a directory, or nil if none
// does. It locks nothing, and so keeps nobody out. It goes by the file: a holder on another
// machine, or one whose process number another process has got since, may be long gone.
func Holder(dir string) *InUseError {
	text, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return nil
	}
	e := &InUseError{}
	if err == nil {
		if e = parse(string(text)); e.PID != 0 && here(e.Host) && !alive(e.PID) {
			return nil
		}
	}
	e.Dir = dir
	return e
}

// reader reads who holds the lock from the file in the directory, if there is one.
// The holder of the directory may have lost its file.
func reader(root *os.Root) *InUseError {
	if info, err := root.Lstat(FileName); err != nil || !info.Mode().IsRegular() {
		return &InUseError{}
	}
	f, err := root.OpenFile(FileName, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return &InUseError{}
	}
	defer f.Close()
	return holder(f)
}

// holder reads who holds the lock. The holder writes right after locking, so the
// file may still be empty, or name a previous holder that has ended.
func holder(f *os.File) *InUseError {
	for i := 0; ; i++ {
		buf := make([]byte, 1024)
		n, err := f.ReadAt(buf, 0)
		if err != nil && err != io.EOF {
			return &InUseError{}
		}
		e := parse(string(buf[:n]))
		if e.PID != 0 && (!here(e.Host) || alive(e.PID)) {
			return e
		}
		if i == 10 {
			return &InUseError{}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func here(host string) bool {
	name, err := os.Hostname()
	return err != nil || host == name
}

func parse(text string) *InUseError {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return &InUseError{}
	}
	pid, err := strconv.Atoi(lines[0])
	since, errSince := time.Parse(time.RFC3339, lines[2])
	if err != nil || errSince != nil || pid < 1 {
		return &InUseError{}
	}
	return &InUseError{PID: pid, Host: lines[1], Since: since}
}
