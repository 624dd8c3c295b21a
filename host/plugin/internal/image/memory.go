package image

import (
	"fmt"
	"unsafe"
)

// A Memory is a region of address space that begins with an image and goes on with
// zeros. A page that is written to is copied first. Only one goroutine at a time
// may use a memory. It takes two mappings, or one if there are only zeros or no
// room for them.
type Memory struct {
	image *Image
	base  unsafe.Pointer // nil once released
	limit uint64
	used  uint64 // no page beyond is its own
}

// Mappings is how many of the mappings that the system allows a process
// (vm.max_map_count) a memory takes at most.
const Mappings = 2

// Map makes a memory that equals an image. It can be as large as limit, which is a
// multiple of [Granularity] and not less than the image. No memory is taken before
// it is written to. The caller releases it.
func Map(im *Image, limit uint64) (*Memory, error) {
	if err := checkSize(limit); err != nil {
		return nil, err
	}
	if limit < im.size || limit == 0 {
		return nil, fmt.Errorf("%w: the region has %d bytes; the image needs %d", ErrSize, limit, max(im.size, Granularity))
	}
	im.mu.RLock()
	defer im.mu.RUnlock()
	if im.fd < 0 {
		return nil, fmt.Errorf("%w: nothing more can be mapped from an image after Close", ErrClosed)
	}
	base, err := mapRegion(im.fd, im.size, limit)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", limit, err)
	}
	im.users.Add(1)
	return &Memory{image: im, base: base, limit: limit, used: im.size}, nil
}

// Image returns what the memory was mapped from, or reset to.
func (m *Memory) Image() *Image { return m.image }

// Limit returns how large the memory can be.
func (m *Memory) Limit() uint64 { return m.limit }

// Bytes returns the memory's first bytes, or nil if it cannot be as large or has
// been released. What lies beyond the image is zeros until it is written to. The
// bytes must not be touched after [Memory.Release]: the process would end.
func (m *Memory) Bytes(size uint64) []byte {
	if size > m.limit || m.base == nil {
		return nil
	}
	m.used = max(m.used, size)
	return unsafe.Slice((*byte)(m.base), size)
}

// Dirty returns how many of the first size bytes lie in pages that the memory does
// not share with its image. Pages beyond the image that were only read count too.
func (m *Memory) Dirty(size uint64, s *Scratch) (bytes uint64, err error) {
	if err := m.check(size); err != nil {
		return 0, err
	}
	if s == nil {
		s = new(Scratch)
	}
	if err := s.readDirty(m, size, size); err != nil {
		return 0, err
	}
	return uint64(s.pages.count()) * pageSize, nil
}

// Keep is how many bytes of its own a memory keeps at most when it is reset. They
// are written over, which takes a twentieth of the time in which the kernel gives a
// page back and copies it again for whoever comes next.
const Keep = 256 << 10

// keepWithin is how large a memory can be for that. The page map of a larger one
// takes longer to read than it saves.
const keepWithin = 16 << 20

// Reset makes the memory equal to an image again, which can be another one, and
// gives back what it took but for [Keep] bytes. If it fails, the memory can only be
// released.
func (m *Memory) Reset(im *Image) error {
	if m.base == nil {
		return fmt.Errorf("%w: a memory cannot be reset after Release", ErrClosed)
	}
	if im == m.image {
		return m.reset()
	}
	if im.size > m.limit {
		return fmt.Errorf("%w: the region has %d bytes; the image needs %d", ErrSize, m.limit, im.size)
	}
	im.mu.RLock()
	defer im.mu.RUnlock()
	if im.fd < 0 {
		return fmt.Errorf("%w: nothing more can be mapped from an image after Close", ErrClosed)
	}
	if err := remap(m.base, im.fd, im.size, m.image.size, m.used); err != nil {
		return fmt.Errorf("mapping %d bytes: %w", im.size, err)
	}
	im.users.Add(1)
	old := m.image
	m.image, m.used = im, im.size
	return old.leave()
}

// Release gives the region back. Releasing twice is no error.
func (m *Memory) Release() error {
	base := m.base
	if base == nil {
		return nil
	}
	m.base = nil
	return errorOf(unmap(base, m.limit), m.image.leave())
}

// reset writes the image over the memory's own pages if they are few, and gives
// them back if they are many.
func (m *Memory) reset() error {
	s := scratches.Get().(*Scratch)
	defer scratches.Put(s)
	if m.used <= keepWithin {
		if err := s.readDirty(m, m.used, m.used); err != nil {
			return err
		}
		if s.pages.count() <= Keep/pageSize {
			for i := range s.pages.all() {
				if p, want := m.page(i), m.image.page(i); string(p) != string(want) {
					copy(p, want)
				}
			}
			return nil // used stays, so that pages beyond the image count the next time
		}
	}
	if err := discard(m.base, m.used); err != nil {
		return fmt.Errorf("discarding %d bytes: %w", m.used, err)
	}
	m.used = m.image.size
	return nil
}

func (m *Memory) check(size uint64) error {
	if m.base == nil {
		return fmt.Errorf("%w: nothing can be asked of a memory after Release", ErrClosed)
	}
	if size%Granularity != 0 || size > m.limit {
		return fmt.Errorf("%w: %d bytes; it must be a multiple of %d, and at most the region's %d", ErrSize, size, Granularity, m.limit)
	}
	return nil
}

func (m *Memory) page(i uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(m.base, i*pageSize)), pageSize)
}
