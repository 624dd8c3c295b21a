// Package stamp marks a directory as the store of one engine, with the file of
// package format.
package stamp

import (
	"io"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

const temporaryPrefix = format.Name + "-new-"

// Claim makes sure that a directory has the stamp. If the directory has another
// stamp or belongs to somebody else, it returns guest.ErrInvalid, with what is there
// and what should be. An empty directory gets the stamp, which is durable when Claim
// returns. Every shard claims, in any order, even two at once.
func Claim(fs vfs.FS, want format.Format, shard int) error {
	text, err := read(fs)
	if vfs.NotExist(err) {
		if err := vacant(fs); err != nil {
			return err
		}
		return write(fs, want, shard)
	}
	if err != nil {
		return vfs.Answer(err, "reading the file "+format.Name)
	}
	found, ok := format.Parse(text)
	switch {
	case !ok:
		return refuse("its file " + format.Name + " is not one of ours: must begin with \"waddle " + want.Engine + "\"")
	case found.Engine != want.Engine:
		return refuse("it belongs to the engine " + found.Engine + ", not to " + want.Engine)
	case found.Version != want.Version:
		return refuse("it has version " + strconv.Itoa(found.Version) + " of the layout: this engine knows version " +
			strconv.Itoa(want.Version))
	case found.Shards != want.Shards:
		return refuse("it was made for " + count(found.Shards) + ", not for " + strconv.Itoa(want.Shards) +
			": open it with the number it was made for, or carry its records over to another directory")
	}
	// It may come from a shard that could not sync it, or has not done so yet.
	return vfs.Answer(fs.SyncDir(""), "syncing the directory")
}

func refuse(reason string) error {
	return guest.Fail(guest.ErrInvalid, "the directory cannot be used: "+reason)
}

func count(shards int) string {
	if shards == 1 {
		return "1 shard"
	}
	return strconv.Itoa(shards) + " shards"
}

// vacant refuses a directory that somebody else has put something into. Names that
// begin with a dot, a file system's own lost+found, and an unfinished stamp do not
// count.
func vacant(fs vfs.FS) error {
	entries, err := fs.ReadDir("")
	if err != nil {
		return vfs.Answer(err, "listing the directory")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, ".") || e.Name == "lost+found" || strings.HasPrefix(e.Name, temporaryPrefix) {
			continue
		}
		return refuse("it is not empty, but has no file " + format.Name + " that says what it is")
	}
	return nil
}

func read(fs vfs.FS) (string, error) {
	f, err := fs.OpenFile(format.Name, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, format.MaxSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	return string(b[:n]), nil
}

// write makes the file under a temporary name first, one for each shard.
func write(fs vfs.FS, want format.Format, shard int) (err error) {
	temporary := temporaryPrefix + strconv.Itoa(shard)
	defer func() { err = vfs.Answer(err, "writing the file "+format.Name) }()
	f, err := fs.OpenFile(temporary, vfs.ReadWrite|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(want.String()), 0)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = fs.Rename(temporary, format.Name)
	}
	if err == nil {
		err = fs.SyncDir("")
	}
	return err
}
