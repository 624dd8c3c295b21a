package vfs

import (
	"errors"
	"io"
	"syscall"
)

// OS returns a directory of the operating system as an FS.
//
// Under WASI it stands on package syscall: package os asks the host twice or
// three times where once is enough, and is not small.
func OS(dir string) FS { return osFS(dir) }

type osFS string

func (dir osFS) OpenFile(name string, flag Flag) (File, error) {
	mode := syscall.O_RDONLY
	if flag&ReadWrite != 0 {
		mode = syscall.O_RDWR
	}
	if flag&Create != 0 {
		mode |= syscall.O_CREAT
	}
	if flag&Exclusive != 0 {
		mode |= syscall.O_EXCL
	}
	if flag&Truncate != 0 {
		mode |= syscall.O_TRUNC
	}
	fd, err := syscall.Open(join(string(dir), name), mode|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile(fd), nil
}

func (dir osFS) Mkdir(name string) error  { return syscall.Mkdir(join(string(dir), name), 0o700) }
func (dir osFS) Remove(name string) error { return syscall.Unlink(join(string(dir), name)) }
func (dir osFS) RemoveDir(name string) error {
	err := syscall.Rmdir(join(string(dir), name))
	if errors.Is(err, syscall.EEXIST) { // POSIX allows both
		return syscall.ENOTEMPTY
	}
	return err
}

func (dir osFS) Rename(oldName, newName string) error {
	return syscall.Rename(join(string(dir), oldName), join(string(dir), newName))
}

func (dir osFS) Stat(name string) (Info, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(join(string(dir), name), &st); err != nil {
		return Info{}, err
	}
	return Info{Kind: kindOf(st.Filetype), Size: int64(st.Size)}, nil
}

func (dir osFS) SyncDir(name string) error {
	fd, err := syscall.Open(join(string(dir), name), syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	err = syscall.Fsync(fd)
	if closed := syscall.Close(fd); err == nil {
		err = closed
	}
	return err
}

// Layout of an entry as fd_readdir writes it.
const (
	direntNext   = 0  // u64: the cookie of the next entry
	direntNamLen = 16 // u32
	direntType   = 20 // u8
	direntSize   = 24 // then the name
)

func (dir osFS) ReadDir(name string) ([]Entry, error) {
	fd, err := syscall.Open(join(string(dir), name), syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	var (
		entries []Entry
		cookie  uint64
		buffer  = make([]byte, 8<<10)
	)
	for {
		n, err := syscall.ReadDir(fd, buffer, cookie)
		if err != nil {
			return nil, err
		}
		// The last entry may be cut off, and comes again; a listing that
		// does not fill the buffer is the last.
		list, progress := buffer[:n], false
		for len(list) >= direntSize {
			nameLen := uint32(number(list[direntNamLen:], 4))
			if uint64(len(list)-direntSize) < uint64(nameLen) {
				break
			}
			entry := string(list[direntSize : direntSize+nameLen])
			cookie = number(list[direntNext:], 8)
			progress = true
			if entry != "." && entry != ".." {
				entries = append(entries, Entry{Name: entry, Kind: kindOf(list[direntType])})
			}
			list = list[direntSize+nameLen:]
		}
		if n < len(buffer) {
			return entries, nil
		}
		if !progress { // a name longer than the buffer
			buffer = make([]byte, 2*len(buffer))
		}
	}
}

// number reads a little-endian number, without the reflection that
// encoding/binary brings into a module.
func number(b []byte, size int) (n uint64) {
	for i, c := range b[:size] {
		n |= uint64(c) << (8 * i)
	}
	return n
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
	n, err := syscall.Pread(int(f), b, offset)
	if err != nil {
		return max(n, 0), err
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f osFile) WriteAt(b []byte, offset int64) (written int, err error) {
	for written < len(b) {
		n, err := syscall.Pwrite(int(f), b[written:], offset+int64(written))
		written += max(n, 0)
		if err != nil {
			return written, err
		}
		if n <= 0 {
			return written, syscall.EIO
		}
	}
	return written, nil
}

func (f osFile) Truncate(size int64) error { return syscall.Ftruncate(int(f), size) }
func (f osFile) Sync() error               { return syscall.Fsync(int(f)) }
func (f osFile) Close() error              { return syscall.Close(int(f)) }

func (f osFile) Size() (int64, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f), &st); err != nil {
		return 0, err
	}
	return int64(st.Size), nil
}
