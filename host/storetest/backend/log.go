package backend

import "sync"

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
	cut  int64 // bytes that are no longer there
}

// tailBytes is how much is kept; up to as much again until it is cut.
const tailBytes = 64 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if more := len(l.text) - tailBytes; more > tailBytes {
		l.text = append(l.text[:0], l.text[more:]...)
		l.cut += int64(more)
	}
	return len(p), nil
}

func (l *tail) String() string { return l.since(0) }

// position is where the next byte will be written.
func (l *tail) position() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut + int64(len(l.text))
}

// since returns what has been written from a position on and is still there.
func (l *tail) since(position int64) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text[max(position-l.cut, 0):])
}
