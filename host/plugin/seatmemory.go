package plugin

import (
	"bytes"
	"errors"
	"sync"

	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

// seatMemory is the memory of a seat: awake an image of its module that the pages which it has
// written to cover, asleep the delta between the two.
//
// Nobody is told when a page is written to. So a memory counts with all its bytes from when a
// call begins, and with those of the pages that are its own from when these were last
// counted, until the next call. Asleep it counts with its delta.
type seatMemory struct {
	account
	extent         // of mem, size bytes; empty while asleep
	limit   uint64 // of bytes
	size    uint64 // bytes that the guest has
	mem     *image.Memory
	delta   []byte
	charged uint64 // bytes of the host's budget
	counted bool   // charged is less than size
}

var _ guestMemory = (*seatMemory)(nil)

// Reallocate implements experimental.LinearMemory, for a guest that is in a call.
func (m *seatMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.err = m.beyond(size, m.limit)
		return nil
	}
	if size > m.size {
		if m.err = m.take(size - m.size); m.err != nil {
			return nil
		}
		m.show(size)
		m.charged = size
	}
	return m.view
}

// Free implements experimental.LinearMemory.
func (m *seatMemory) Free() {}

func (m *seatMemory) show(size uint64) {
	m.size = size
	m.view = m.mem.Bytes(size)[:size:size]
}

// begin maps an image, all of which the guest has.
func (m *seatMemory) begin(im *image.Image) error {
	if err := m.takeSpace(m.limit); err != nil {
		return err
	}
	if err := m.take(im.Size()); err != nil {
		m.giveSpace(m.limit)
		return err
	}
	mem, err := image.Map(im, m.limit)
	if err != nil {
		m.giveSpace(m.limit)
		m.give(im.Size())
		return err
	}
	m.mem, m.charged = mem, im.Size()
	m.show(im.Size())
	return nil
}

// used makes the memory count with all its bytes, before a call.
func (m *seatMemory) used() error {
	if !m.counted {
		return nil
	}
	if err := m.take(m.size - m.charged); err != nil {
		return err
	}
	m.charged, m.counted = m.size, false
	return nil
}

// count makes the memory count with its own pages, until the next call.
func (m *seatMemory) count() (own uint64) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	own, err := m.mem.Dirty(m.size, &s.pages)
	if err != nil {
		return m.charged // as before
	}
	if own < m.charged {
		m.give(m.charged - own)
		m.charged, m.counted = own, true
	}
	return own
}

// settle makes an awake memory share the pages of another image, where it has the same. It
// stays where it is. If it fails the memory can only be released.
func (m *seatMemory) settle(on *image.Image) error {
	if m.mem.Image() == on {
		return nil
	}
	s := scratches.Get().(*scratch)
	defer s.put()
	delta, err := m.mem.Delta(m.size, on, &s.pages, s.delta[:0])
	if err != nil {
		return err
	}
	s.delta = delta
	if err := m.mem.Reset(on); err != nil {
		return err
	}
	return m.mem.Apply(delta)
}

// sleep unmaps the memory and keeps its delta to an image. If it fails nothing has changed.
func (m *seatMemory) sleep(to *image.Image) error {
	s := scratches.Get().(*scratch)
	defer s.put()
	delta, err := m.mem.Delta(m.size, to, &s.pages, s.delta[:0])
	if err != nil {
		return err
	}
	s.delta = delta
	n := uint64(len(delta))
	if n > m.charged {
		// Others must not be put to sleep for one that goes to sleep.
		if err := m.takeFree(n - m.charged); err != nil {
			return err
		}
	} else {
		m.give(m.charged - n)
	}
	m.delta, m.charged, m.counted = bytes.Clone(delta), n, false
	return m.unmap()
}

// wake maps the image again and applies the delta. If it fails the memory still sleeps,
// unless the error is an image.ErrDelta.
func (m *seatMemory) wake(from *image.Image) error {
	if err := m.takeSpace(m.limit); err != nil {
		return err
	}
	more := m.size - min(m.size, m.charged)
	if err := m.take(more); err != nil {
		m.giveSpace(m.limit)
		return err
	}
	mem, err := image.Map(from, m.limit)
	if err == nil {
		if err = mem.Apply(m.delta); err != nil {
			_ = mem.Release()
		}
	}
	if err != nil {
		m.giveSpace(m.limit)
		m.give(more)
		return err
	}
	m.give(m.charged + more - m.size) // a delta can be larger than the memory
	m.mem, m.delta, m.charged = mem, nil, m.size
	m.show(m.size)
	return nil
}

func (m *seatMemory) awake() bool { return m.mem != nil }

func (m *seatMemory) unmap() error {
	mem := m.mem
	m.mem, m.view = nil, nil
	m.giveSpace(m.limit)
	return mem.Release()
}

// release gives everything back. The guest is gone.
func (m *seatMemory) release() (err error) {
	m.give(m.charged)
	m.charged, m.delta = 0, nil
	if m.awake() {
		err = m.unmap()
	}
	return err
}

// isDamaged reports whether a memory cannot be woken, now or later.
func isDamaged(err error) bool { return errors.Is(err, image.ErrDelta) }

// scratch is room for looking at a memory.
type scratch struct {
	pages image.Scratch
	delta []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// largestScratch is how much room is kept.
const largestScratch = 1 << 20

func (s *scratch) put() {
	if cap(s.delta) <= largestScratch {
		scratches.Put(s)
	}
}
