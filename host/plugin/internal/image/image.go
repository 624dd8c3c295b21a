package image

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// An Image is a copy of a memory that never changes, in a file without a name that
// is sealed. It takes one descriptor and one mapping, and room for the pages that
// are not all zeros. Its methods can be called from any goroutine.
type Image struct {
	id     uint64
	size   uint64
	stored pageSet
	mem    unsafe.Pointer // all of it, for reading

	users atomic.Int64 // those who need mem: the owner and each memory

	mu sync.RWMutex // held while fd is used, so that it is not closed and given to another file
	fd int          // -1 once closed

	// What differs in another image is the same for all memories, so it is found
	// out once. There are two images of a module as a rule.
	otherMu sync.Mutex
	other   uint64 // its id
	differ  pageSet
}

var lastID atomic.Uint64

// New copies a memory, whose length is a multiple of [Granularity]. The caller
// closes the image.
func New(memory []byte) (*Image, error) {
	size := uint64(len(memory))
	if err := checkSize(size); err != nil {
		return nil, err
	}
	stored := makePageSet(size)
	for i := range size / pageSize {
		if p := memory[i*pageSize:][:pageSize]; string(p) != string(zeroPage[:]) {
			stored.add(i)
		}
	}
	fd, mem, err := newFile(memory, stored)
	if err != nil {
		return nil, fmt.Errorf("making an image of %d bytes: %w", size, err)
	}
	im := &Image{id: lastID.Add(1), size: size, stored: stored, mem: mem, fd: fd}
	im.users.Store(1)
	return im, nil
}

// Size returns how many bytes the copied memory had.
func (im *Image) Size() uint64 { return im.size }

// Stored returns how many bytes the image takes: those of the pages that were not
// all zeros.
func (im *Image) Stored() uint64 { return uint64(im.stored.count()) * pageSize }

// Close closes the file. Memories that are mapped live on, and the last of them
// takes the rest of the image with it. Nothing more can be mapped from it. Closing
// twice is no error.
func (im *Image) Close() error {
	im.mu.Lock()
	fd := im.fd
	im.fd = -1
	im.mu.Unlock()
	if fd < 0 {
		return nil
	}
	return errorOf(closeFile(fd), im.leave())
}

// use keeps the image's bytes readable until leave. It fails once nobody uses it.
func (im *Image) use() error {
	for {
		n := im.users.Load()
		if n == 0 {
			return fmt.Errorf("%w: keep the image open as long as deltas are taken against it", ErrClosed)
		}
		if im.users.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

func (im *Image) leave() error {
	if im.users.Add(-1) > 0 {
		return nil
	}
	return unmap(im.mem, im.size)
}

// page returns a page of the image; there are zeros beyond its end. Pages that are
// not stored are not read, since the kernel would make them to be read.
func (im *Image) page(i uint64) []byte {
	if !im.stored.has(i) {
		return zeroPage[:]
	}
	return unsafe.Slice((*byte)(unsafe.Add(im.mem, i*pageSize)), pageSize)
}

// differs returns the pages in which two images differ. Both must be in use.
func (im *Image) differs(from *Image) pageSet {
	if im == from {
		return nil
	}
	im.otherMu.Lock()
	defer im.otherMu.Unlock()
	if im.other == from.id {
		return im.differ
	}
	set := makePageSet(max(im.size, from.size))
	set.addAll(im.stored, 0)
	set.addAll(from.stored, 0)
	for i := range set.all() {
		if string(im.page(i)) == string(from.page(i)) {
			set.remove(i)
		}
	}
	im.other, im.differ = from.id, set
	return set
}

func checkSize(size uint64) error {
	if size%Granularity != 0 || size > MaxSize || uint64(int(size)) != size || int(size) < 0 {
		return fmt.Errorf("%w: %d bytes; it must be a multiple of %d, and at most %d", ErrSize, size, Granularity, uint64(MaxSize))
	}
	return nil
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
