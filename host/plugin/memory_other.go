//go:build !linux && !darwin

package plugin

// linearMemory is one instance's memory, on the Go heap. Growing copies it to twice
// the size, as far as the limit allows.
type linearMemory struct {
	account
	limit uint64
	b     []byte
	err   error
}

// Reallocate returns size bytes of memory, or nil if that is beyond the limit.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.err = m.beyond(size, m.limit)
		return nil
	}
	if size > uint64(len(m.b)) {
		if err := m.take(size - uint64(len(m.b))); err != nil {
			m.err = err
			return nil
		}
	}
	if size > uint64(cap(m.b)) {
		larger := make([]byte, size, min(max(size, 2*uint64(cap(m.b))), m.limit))
		copy(larger, m.b)
		m.b = larger
	}
	m.b = m.b[:size]
	return m.b
}

func (m *linearMemory) bytes() []byte { return m.b }

func (m *linearMemory) refusal() error { return m.err }

func (m *linearMemory) callBegins() { m.err = nil }

// Free does nothing; see release.
func (m *linearMemory) Free() {}

func (m *linearMemory) reserve(size uint64) { m.limit = size }

func (m *linearMemory) release() error {
	m.give(uint64(len(m.b)))
	m.b, m.limit = nil, 0
	return nil
}
