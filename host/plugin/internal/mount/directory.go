package mount

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// directory is an open directory.
type directory struct {
	sys.DirFile
	seeker[int64]

	m        *FS
	f        *os.File
	dev, ino uint64
	charged  bool // counts against the quota of open files
	behind   *behind
	closed   atomic.Bool
	listing  listing
}

// Dev implements sys.File.
func (d *directory) Dev() (uint64, sys.Errno) { return d.dev, 0 }

// Ino implements sys.File.
func (d *directory) Ino() (wasys.Inode, sys.Errno) { return d.ino, 0 }

// Stat implements sys.File.
func (d *directory) Stat() (wasys.Stat_t, sys.Errno) {
	st, err := statOf(d.f)
	return st, d.errno(err)
}

// seek is Seek of sys.File. A directory can only be rewound.
func (d *directory) seek(offset int64, whence int) (int64, sys.Errno) {
	if offset != 0 || whence != io.SeekStart {
		return 0, sys.EINVAL
	}
	d.listing.forget(&d.m.quota)
	_, err := d.f.Seek(0, io.SeekStart)
	return 0, plain(d.errno(err))
}

// Readdir implements sys.File. wazero keeps the entries until it gets others. If
// there is no more room for them, the error is ENOMEM.
func (d *directory) Readdir(n int) (entries []sys.Dirent, errno sys.Errno) {
	if entries, errno = d.entries(n); errno == 0 && !d.listing.keep(&d.m.quota, entries) {
		return nil, ENOMEM
	}
	return entries, errno
}

// entries reads the next n. Fewer would mean the end, so hidden entries must be
// replaced by others.
func (d *directory) entries(n int) (entries []sys.Dirent, errno sys.Errno) {
	for {
		want := -1
		if n > 0 {
			want = n - len(entries)
		}
		found, err := d.f.ReadDir(want)
		for _, e := range found {
			if hidden(e.Name()) {
				continue
			}
			entry := sys.Dirent{Name: e.Name(), Type: e.Type()}
			// The name has already been looked up, as always within an os.Root.
			if info, err := e.Info(); err == nil {
				entry.Ino = wasys.NewStat_t(info).Ino
			}
			entries = append(entries, entry)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, fs.ErrNotExist): // the directory itself has been removed
			return entries, 0
		case err != nil:
			return nil, d.errno(err)
		case n <= 0, len(entries) == n:
			return entries, 0
		}
	}
}

// Sync implements sys.File. When it returns 0, all names made, replaced and
// removed in the directory before are on the disk.
func (d *directory) Sync() sys.Errno {
	return d.errno(syncAll(d.behind, d.m.names.Load(), d.sync))
}

// Datasync implements sys.File. The names are a directory's data.
func (d *directory) Datasync() sys.Errno {
	return syncBehind(d.behind, d.m.names.Load(), d.sync, d.errno)
}

func (d *directory) sync() error { return syncDirectory(d.f) }

// Utimens implements sys.File.
func (d *directory) Utimens(atim, mtim int64) sys.Errno {
	if d.m.readOnly {
		return sys.EROFS
	}
	return d.errno(futimens(d.f, atim, mtim))
}

// Close implements sys.File.
func (d *directory) Close() sys.Errno {
	if d.closed.Swap(true) {
		return 0
	}
	d.m.handles.remove(d)
	d.listing.forget(&d.m.quota)
	err := d.f.Close()
	if d.charged {
		d.m.quota.giveOpen()
	}
	return plain(d.m.errno(err))
}

// errno is the mount's errno, except that package os has several errors for a
// closed file.
func (d *directory) errno(err error) sys.Errno {
	if err != nil && d.closed.Load() {
		return sys.EBADF
	}
	return d.m.errno(err)
}
