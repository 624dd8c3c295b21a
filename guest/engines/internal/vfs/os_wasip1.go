package vfs

import (
	"encoding/binary"
	"io"
	"runtime"
	"syscall"
	"unsafe"
)

// OS returns a directory that the host has mounted, by the name under which it is
// mounted, such as "/data". If there is none, every operation returns ENOENT.
//
// It calls WASI directly, relative to the mount. Package os asks the host two or
// three times where once is enough, and package syscall assembles and takes apart
// an absolute path for each call.
func OS(dir string) FS { return osFS(preopened(dir)) }

// osFS is the descriptor of the mount.
type osFS int32

func (dir osFS) OpenFile(name string, flag Flag) (File, error) {
	var how uint32
	if flag&Create != 0 {
		how |= openCreate
	}
	if flag&Exclusive != 0 {
		how |= openExclusive
	}
	if flag&Truncate != 0 {
		how |= openTruncate
	}
	rights := uint64(rightsRead)
	if flag&ReadWrite != 0 {
		rights |= rightsWrite
	}
	var flags uint32
	if flag&Background != 0 {
		flags = flagNonblock
	}
	fd, err := dir.open(name, how, rights, flags)
	if err != nil {
		return nil, err
	}
	return osFile(fd), nil
}

func (dir osFS) Mkdir(name string) error {
	return errnoOf(pathCreateDirectory(int32(dir), unsafe.StringData(name), uint32(len(name))))
}

func (dir osFS) Remove(name string) error {
	return errnoOf(pathUnlinkFile(int32(dir), unsafe.StringData(name), uint32(len(name))))
}

func (dir osFS) RemoveDir(name string) error {
	err := errnoOf(pathRemoveDirectory(int32(dir), unsafe.StringData(name), uint32(len(name))))
	if err == syscall.EEXIST { // POSIX allows both
		return syscall.ENOTEMPTY
	}
	return err
}

func (dir osFS) Rename(oldName, newName string) error {
	return errnoOf(pathRename(int32(dir), unsafe.StringData(oldName), uint32(len(oldName)),
		int32(dir), unsafe.StringData(newName), uint32(len(newName))))
}

func (dir osFS) Stat(name string) (Info, error) {
	name = orDot(name)
	var st filestat
	if err := errnoOf(pathFilestatGet(int32(dir), 0, unsafe.StringData(name), uint32(len(name)), unsafe.Pointer(&st))); err != nil {
		return Info{}, err
	}
	return Info{Kind: kindOf(st.filetype), Size: int64(st.size)}, nil
}

func (dir osFS) SyncDir(name string) error {
	fd, err := dir.open(orDot(name), openDirectory, rightsDir, 0)
	if err != nil {
		return err
	}
	err = syscall.Fsync(fd)
	if closed := syscall.Close(fd); err == nil {
		err = closed
	}
	return err
}

func (dir osFS) open(name string, how uint32, rights uint64, flags uint32) (fd int, err error) {
	var opened int32
	// Without the lookup flag: symbolic links are not followed.
	errno := pathOpen(int32(dir), 0, unsafe.StringData(name), uint32(len(name)), how, rights, rightsRead|rightsWrite, flags, &opened)
	return int(opened), errnoOf(errno)
}

func orDot(name string) string {
	if name == "" {
		return "."
	}
	return name
}

func errnoOf(errno uint32) error {
	if errno == 0 {
		return nil
	}
	return syscall.Errno(errno)
}

// Layout of an entry as fd_readdir writes it.
const (
	direntNext   = 0  // u64: the cookie of the next entry
	direntNamLen = 16 // u32
	direntType   = 20 // u8
	direntSize   = 24 // then the name
)

func (dir osFS) ReadDir(name string) (all []Entry, err error) {
	d, err := dir.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for {
		entries, err := d.Next()
		if err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			return all, nil
		}
		all = append(all, entries...)
	}
}

func (dir osFS) OpenDir(name string) (Directory, error) {
	fd, err := dir.open(orDot(name), openDirectory, rightsDir, flagNonblock)
	if err != nil {
		return nil, err
	}
	return &osDir{osFile: osFile(fd)}, nil
}

// osDir is an open directory and how far it has been listed.
type osDir struct {
	osFile
	cookie uint64
	ended  bool
}

// listing is what the host writes entries into. It is used within a call only.
var listing = make([]byte, 8<<10)

func (d *osDir) Next() (entries []Entry, err error) {
	for len(entries) == 0 && !d.ended {
		n, err := syscall.ReadDir(int(d.osFile), listing, d.cookie)
		if err != nil {
			return nil, err
		}
		// The last entry may be cut off, and is then read again. A listing that
		// does not fill the buffer is the last.
		list, progress := listing[:n], false
		for len(list) >= direntSize {
			nameLen := binary.LittleEndian.Uint32(list[direntNamLen:])
			if uint64(len(list)-direntSize) < uint64(nameLen) {
				break
			}
			entry := string(list[direntSize : direntSize+nameLen])
			d.cookie = binary.LittleEndian.Uint64(list[direntNext:])
			progress = true
			if entry != "." && entry != ".." {
				entries = append(entries, Entry{Name: entry, Kind: kindOf(list[direntType])})
			}
			list = list[direntSize+nameLen:]
		}
		d.ended = n < len(listing)
		if !d.ended && !progress { // a name longer than the buffer
			listing = make([]byte, 2*len(listing))
		}
	}
	return entries, nil
}

func kindOf(filetype uint8) Kind {
	switch filetype {
	case syscall.FILETYPE_REGULAR_FILE:
		return Regular
	case syscall.FILETYPE_DIRECTORY:
		return Dir
	}
	return Other
}

type osFile int

func (f osFile) ReadAt(b []byte, offset int64) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	to, n := vectorOf(b), uint32(0)
	errno := fdPread(int32(f), &to, 1, uint64(offset), &n)
	runtime.KeepAlive(b)
	if errno != 0 {
		return int(n), syscall.Errno(errno)
	}
	if int(n) < len(b) {
		return int(n), io.EOF
	}
	return int(n), nil
}

func (f osFile) WriteAt(b []byte, offset int64) (written int, err error) {
	for written < len(b) {
		from, n := vectorOf(b[written:]), uint32(0)
		errno := fdPwrite(int32(f), &from, 1, uint64(offset)+uint64(written), &n)
		written += int(n)
		if errno != 0 {
			return written, syscall.Errno(errno)
		}
		if n == 0 {
			return written, syscall.EIO
		}
	}
	runtime.KeepAlive(b)
	return written, nil
}

func (f osFile) Truncate(size int64) error { return syscall.Ftruncate(int(f), size) }
func (f osFile) Sync() error               { return syscall.Fsync(int(f)) }
func (f osFile) Close() error              { return syscall.Close(int(f)) }

func (f osFile) SyncBehind() (over bool, err error) {
	err = errnoOf(fdDatasync(int32(f)))
	return err != syscall.EAGAIN, ignoreAgain(err)
}

func ignoreAgain(err error) error {
	if err == syscall.EAGAIN {
		return nil
	}
	return err
}

func (f osFile) Size() (int64, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f), &st); err != nil {
		return 0, err
	}
	return int64(st.Size), nil
}
