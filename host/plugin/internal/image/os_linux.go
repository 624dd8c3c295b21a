package image

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var systemPage = uint64(os.Getpagesize())

const (
	readWrite = unix.PROT_READ | unix.PROT_WRITE
	private   = unix.MAP_PRIVATE | unix.MAP_NORESERVE
)

// newFile returns a sealed file and a mapping of it for reading.
func newFile(memory []byte, stored pageSet) (fd int, mem unsafe.Pointer, err error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	// Systems can demand that the file says it is not a program; older ones do not
	// know how it is said.
	if fd, err = unix.MemfdCreate("waddle-image", flags|unix.MFD_NOEXEC_SEAL); err == unix.EINVAL {
		fd, err = unix.MemfdCreate("waddle-image", flags)
	}
	if err != nil {
		return -1, nil, fmt.Errorf("memfd_create: %w", err)
	}
	if mem, err = fill(fd, memory, stored); err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, mem, nil
}

func fill(fd int, memory []byte, stored pageSet) (unsafe.Pointer, error) {
	if err := unix.Ftruncate(fd, int64(len(memory))); err != nil {
		return nil, fmt.Errorf("ftruncate: %w", err)
	}
	pages := uint64(len(memory)) / pageSize
	for i := uint64(0); i < pages; i++ {
		first := i
		for i < pages && stored.has(i) {
			i++
		}
		if first == i {
			continue
		}
		for b, at := memory[first*pageSize:i*pageSize], int64(first*pageSize); len(b) > 0; {
			n, err := unix.Pwrite(fd, b, at)
			if err != nil && err != unix.EINTR {
				return nil, fmt.Errorf("pwrite: %w", err)
			}
			n = max(n, 0)
			b, at = b[n:], at+int64(n)
		}
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	if len(memory) == 0 {
		return nil, nil
	}
	mem, err := unix.MmapPtr(fd, 0, nil, uintptr(len(memory)), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return mem, nil
}

func closeFile(fd int) error { return unix.Close(fd) }

// mapRegion maps a file, and zeros up to the limit. The zeros do not come from the
// file: a page of it that anybody writes to would be made in the file, too, and
// stay there.
func mapRegion(fd int, size, limit uint64) (unsafe.Pointer, error) {
	if size == limit {
		return unix.MmapPtr(fd, 0, nil, uintptr(size), readWrite, private)
	}
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(limit), readWrite, private|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	if err = mapOver(base, fd, size); err == nil {
		err = smallPages(unsafe.Add(base, size), limit-size)
	}
	if err != nil {
		_ = unmap(base, limit)
		return nil, err
	}
	return base, nil
}

// mapOver maps a file over the beginning of a region.
func mapOver(base unsafe.Pointer, fd int, size uint64) error {
	if size == 0 {
		return nil
	}
	_, err := unix.MmapPtr(fd, 0, base, uintptr(size), readWrite, private|unix.MAP_FIXED)
	return err
}

// smallPages keeps the kernel from giving 2 MiB to whoever touches a byte.
func smallPages(base unsafe.Pointer, n uint64) error {
	err := unix.Madvise(unsafe.Slice((*byte)(base), n), unix.MADV_NOHUGEPAGE)
	if err == unix.EINVAL { // a kernel that has no huge pages
		return nil
	}
	return err
}

// remap maps a file over a region in which there was one of the size old, and makes
// the rest of what was used zeros.
func remap(base unsafe.Pointer, fd int, size, old, used uint64) error {
	if err := mapOver(base, fd, size); err != nil {
		return err
	}
	if old > size {
		at := unsafe.Add(base, size)
		if _, err := unix.MmapPtr(-1, 0, at, uintptr(old-size), readWrite, private|unix.MAP_ANON|unix.MAP_FIXED); err != nil {
			return err
		}
		if err := smallPages(at, old-size); err != nil {
			return err
		}
	}
	if from := max(size, old); used > from {
		return unix.Madvise(unsafe.Slice((*byte)(unsafe.Add(base, from)), used-from), unix.MADV_DONTNEED)
	}
	return nil
}

func discard(base unsafe.Pointer, n uint64) error {
	if n == 0 {
		return nil
	}
	return unix.Madvise(unsafe.Slice((*byte)(base), n), unix.MADV_DONTNEED)
}

func unmap(base unsafe.Pointer, n uint64) error {
	if base == nil || n == 0 {
		return nil
	}
	return unix.MunmapPtr(base, uintptr(n))
}

// The page map is opened once and stays open.
var pageMap = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/self/pagemap") })

// readPageMap reads the entries of the pages from base on.
func readPageMap(entries []byte, base unsafe.Pointer) error {
	f, err := pageMap()
	if err != nil {
		return err
	}
	at := int64(uint64(uintptr(base)) / systemPage * entrySize)
	if n, err := unix.Pread(int(f.Fd()), entries, at); err != nil || n != len(entries) {
		return fmt.Errorf("reading /proc/self/pagemap: %d bytes of %d: %w", n, len(entries), err)
	}
	return nil
}
