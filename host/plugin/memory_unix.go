//go:build linux || darwin

package plugin

import (
	"fmt"
	"syscall"
)

// linearMemory is one instance's memory: address space for all it may ever have,
// and usable as far as the guest asked for. It grows in place, so growing costs
// the same at any size. It is outside of the Go heap.
type linearMemory struct {
	account
	extent
	reserved []byte
}

// Reallocate makes size bytes usable, or returns nil if that is not possible.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if m.reserved == nil && m.err != nil {
		return nil
	}
	if size > uint64(len(m.reserved)) {
		m.err = m.beyond(size, uint64(len(m.reserved)))
		return nil
	}
	if size > uint64(len(m.view)) {
		more := size - uint64(len(m.view))
		if err := m.take(more); err != nil {
			m.err = err
			return nil
		}
		err := syscall.Mprotect(m.reserved[len(m.view):size], syscall.PROT_READ|syscall.PROT_WRITE)
		if err != nil {
			m.give(more)
			m.err = fmt.Errorf("making %d bytes of memory usable: %w", size, err)
			return nil
		}
		m.view = m.reserved[:size:size]
	}
	return m.reserved[:size:size]
}

// Free does nothing. wazero calls it within a call that exits, while the stack still
// refers to the memory. release frees it when nothing does.
func (m *linearMemory) Free() {}

func (m *linearMemory) reserve(size uint64) {
	if size == 0 {
		return
	}
	if m.err = m.takeSpace(size); m.err != nil {
		return
	}
	b, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		m.giveSpace(size)
		m.err = fmt.Errorf("reserving %d bytes of address space: %w", size, err)
		return
	}
	m.reserved = b
}

func (m *linearMemory) release() error {
	b := m.reserved
	if b == nil {
		return nil
	}
	m.give(uint64(len(m.view)))
	m.giveSpace(uint64(len(b)))
	m.reserved, m.view = nil, nil
	return syscall.Munmap(b)
}
