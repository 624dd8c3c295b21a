//go:build !linux && !darwin

package plugin

// linearMemory is one instance's memory, on the Go heap. Growing copies it to twice
// the size, as far as the limit allows.
type linearMemory struct {
	account
	extent
	limit uint64
}

// Reallocate returns size bytes of memory, or nil if that is beyond the limit.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.err = m.beyond(size, m.limit)
		return nil
	}
	if size > uint64(len(m.view)) {
		if err := m.take(size - uint64(len(m.view))); err != nil {
			m.err = err
			return nil
		}
	}
	if size > uint64(cap(m.view)) {
		larger := make([]byte, size, min(max(size, 2*uint64(cap(m.view))), m.limit))
		copy(larger, m.view)
		m.view = larger
	}
	m.view = m.view[:size]
	return m.view
}

// Free does nothing; see release.
func (m *linearMemory) Free() {}

func (m *linearMemory) reserve(size uint64) { m.limit = size }

func (m *linearMemory) release() error {
	m.give(uint64(len(m.view)))
	m.view, m.limit = nil, 0
	return nil
}
