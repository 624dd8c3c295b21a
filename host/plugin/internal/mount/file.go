package mount

import (
	"io"
	"math"
	"os"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// file is an open regular file. Its position, and whether it appends, are kept
// here and not by the system. The quota then knows before each write how large
// the file will be, and seeking needs no call.
type file struct {
	seeker[int64]

	m      *FS
	f      *os.File
	node   *node
	id     fileID
	closed atomic.Bool
	behind *behind // nil unless it was opened with O_NONBLOCK

	at     int64 // the system's own position, -1 if unknown
	length int64 // when it was opened

	pos                 int64
	read, write, append bool
}

// Dev implements sys.File.
func (f *file) Dev() (uint64, sys.Errno) { return f.id.dev, 0 }

// Ino implements sys.File.
func (f *file) Ino() (wasys.Inode, sys.Errno) { return f.id.ino, 0 }

// IsDir implements sys.File.
func (f *file) IsDir() (bool, sys.Errno) { return false, 0 }

// IsAppend implements sys.File.
func (f *file) IsAppend() bool { return f.append }

// SetAppend implements sys.File.
func (f *file) SetAppend(enable bool) sys.Errno {
	if f.closed.Load() {
		return sys.EBADF
	}
	f.append = enable
	return 0
}

// Stat implements sys.File.
func (f *file) Stat() (wasys.Stat_t, sys.Errno) {
	st, err := statOf(f.f)
	return st, f.errno(err)
}

// Read implements sys.File.
func (f *file) Read(buf []byte) (n int, errno sys.Errno) {
	n, errno = f.Pread(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

// Pread implements sys.File.
func (f *file) Pread(buf []byte, off int64) (n int, errno sys.Errno) {
	if !f.read || f.closed.Load() {
		return 0, sys.EBADF
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	if len(buf) == 0 {
		return 0, 0
	}
	n, err := f.readAt(buf, off)
	if err == nil || err == io.EOF {
		return n, 0
	}
	return n, f.errno(err)
}

// readAt is ReadAt of the file, which asks once more whether that was really the end. Where the
// system's own position is right and the end is where it was when the file was opened, once is enough.
func (f *file) readAt(buf []byte, off int64) (n int, err error) {
	if off == f.at {
		n, err = f.f.Read(buf)
		f.at += int64(n)
		if err != nil || n == len(buf) || f.at == f.length {
			return n, err
		}
	}
	more, err := f.f.ReadAt(buf[n:], off+int64(n))
	return n + more, err
}

// Write implements sys.File.
func (f *file) Write(buf []byte) (n int, errno sys.Errno) {
	if f.append {
		return f.writeAtEnd(buf)
	}
	n, errno = f.Pwrite(buf, f.pos)
	f.pos += int64(n)
	return n, errno
}

// Pwrite implements sys.File. It writes at off even if the file appends, as
// POSIX requires and Linux does not.
func (f *file) Pwrite(buf []byte, off int64) (n int, errno sys.Errno) {
	if !f.write || f.closed.Load() {
		return 0, sys.EBADF
	}
	if off < 0 {
		return 0, sys.EINVAL
	}
	if len(buf) == 0 {
		return 0, 0
	}
	if !f.m.counted {
		return f.put(buf, off)
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	if errno := f.learn(); errno != 0 {
		return 0, errno
	}
	return f.putCounted(buf, off)
}

// writeAtEnd asks the system where the end is, so that nothing is overwritten
// even if another process has written to the file.
func (f *file) writeAtEnd(buf []byte) (n int, errno sys.Errno) {
	if !f.write || f.closed.Load() {
		return 0, sys.EBADF
	}
	if len(buf) == 0 {
		return 0, 0
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	end, err := f.size()
	if err != nil {
		return 0, f.errno(err)
	}
	if f.m.counted {
		f.correct(end)
		n, errno = f.putCounted(buf, end)
	} else {
		n, errno = f.put(buf, end)
	}
	f.pos = end + int64(n)
	return n, errno
}

func (f *file) put(buf []byte, off int64) (n int, errno sys.Errno) {
	if off > math.MaxInt64-int64(len(buf)) {
		return 0, EFBIG
	}
	f.node.changes.Add(1)
	n, err := f.f.WriteAt(buf, off)
	return n, f.errno(err)
}

// putCounted writes under the lock of the node, whose size is known. It first
// takes the growth of the file from the quota, and gives back what was not
// written.
func (f *file) putCounted(buf []byte, off int64) (n int, errno sys.Errno) {
	if off > math.MaxInt64-int64(len(buf)) {
		return 0, EFBIG
	}
	growth := off + int64(len(buf)) - f.node.size
	if growth <= 0 {
		return f.put(buf, off)
	}
	if !f.m.quota.takeBytes(growth) {
		return 0, ENOSPC
	}
	n, errno = f.put(buf, off)
	grown := growth
	if errno != 0 {
		// Some of it may have been written, which package os does not report.
		grown = 0
		if size, err := f.size(); err == nil {
			grown = min(max(size-f.node.size, 0), growth)
		}
	}
	f.node.size += grown
	f.m.quota.giveBytes(growth - grown)
	return n, errno
}

// learn finds out the size of the file once. The lock of the node is held.
func (f *file) learn() sys.Errno {
	if f.node.known {
		return 0
	}
	size, err := f.size()
	if err != nil {
		return f.errno(err)
	}
	f.node.size, f.node.known = size, true
	return 0
}

// correct records a size that the system has reported. What another process did
// to the file counts too, even beyond the limit.
func (f *file) correct(size int64) {
	if f.node.known {
		if d := size - f.node.size; d > 0 {
			f.m.quota.bytes.Add(d)
		} else {
			f.m.quota.giveBytes(-d)
		}
	}
	f.node.size, f.node.known = size, true
}

// seek is Seek of sys.File.
func (f *file) seek(offset int64, whence int) (int64, sys.Errno) {
	if f.closed.Load() {
		return 0, sys.EBADF
	}
	base := int64(0)
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = f.pos
	case io.SeekEnd:
		size, err := f.size()
		if err != nil {
			return 0, plain(f.errno(err))
		}
		base = size
	default:
		return 0, sys.EINVAL
	}
	if offset > math.MaxInt64-base || base+offset < 0 {
		return 0, sys.EINVAL
	}
	f.pos = base + offset
	return f.pos, 0
}

// Readdir implements sys.File.
func (f *file) Readdir(int) ([]sys.Dirent, sys.Errno) { return nil, sys.EBADF }

// Truncate implements sys.File.
func (f *file) Truncate(size int64) sys.Errno {
	if f.closed.Load() {
		return sys.EBADF
	}
	if size < 0 || !f.write {
		return sys.EINVAL
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	f.node.changes.Add(1)
	if !f.m.counted {
		return f.errno(f.f.Truncate(size))
	}
	if errno := f.learn(); errno != 0 {
		return errno
	}
	growth := size - f.node.size
	if growth > 0 && !f.m.quota.takeBytes(growth) {
		return ENOSPC
	}
	if err := f.f.Truncate(size); err != nil {
		if growth > 0 {
			f.m.quota.giveBytes(growth)
		}
		return f.errno(err)
	}
	f.node.size = size
	if growth < 0 {
		f.m.quota.giveBytes(-growth)
	}
	return 0
}

// Sync implements sys.File. When it returns 0, contents and size are on the
// disk.
func (f *file) Sync() sys.Errno {
	return f.errno(syncAll(f.behind, f.node.changes.Load(), f.f.Sync))
}

// Datasync implements sys.File. With O_NONBLOCK it does not wait: see [behind].
func (f *file) Datasync() sys.Errno {
	return syncBehind(f.behind, f.node.changes.Load(), func() error { return datasync(f.f) }, f.errno)
}

// Utimens implements sys.File.
func (f *file) Utimens(atim, mtim int64) sys.Errno {
	if f.m.readOnly {
		return sys.EROFS
	}
	return f.errno(futimens(f.f, atim, mtim))
}

// Close implements sys.File.
func (f *file) Close() sys.Errno {
	if f.closed.Swap(true) {
		return 0
	}
	f.m.handles.remove(f)
	bytes := f.m.handles.release(f.node)
	err := f.f.Close()
	if bytes > 0 && f.m.counted {
		f.m.quota.giveBytes(bytes)
	}
	f.m.quota.giveOpen()
	return plain(f.m.errno(err))
}

// errno is the mount's errno, except that package os has several errors for a
// closed file.
func (f *file) errno(err error) sys.Errno {
	if err != nil && f.closed.Load() {
		return sys.EBADF
	}
	return f.m.errno(err)
}

// size asks for the position of the end, which allocates nothing, unlike Stat.
func (f *file) size() (int64, error) {
	f.at = -1
	return f.f.Seek(0, io.SeekEnd)
}

func statOf(f *os.File) (wasys.Stat_t, error) {
	info, err := f.Stat()
	if err != nil {
		return wasys.Stat_t{}, err
	}
	return wasys.NewStat_t(info), nil
}
