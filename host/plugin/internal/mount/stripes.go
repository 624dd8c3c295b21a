package mount

import (
	"hash/maphash"
	"strings"
	"sync"
)

const stripeCount = 64

var stripeSeed = maphash.MakeSeed()

// stripes are locks over paths. Opening or creating a path holds its lock
// shared; removing or replacing what is there holds it exclusively. Only then
// is it certain whose bytes are freed. Two paths that differ in case may be the
// same, so they share a lock.
//
// A lock is held during system calls that change a directory, never while a
// file is read, written or synced.
type stripes [stripeCount]sync.RWMutex

func stripeOf(path string) uint64 {
	return maphash.String(stripeSeed, strings.ToLower(path)) % stripeCount
}

func (s *stripes) shared(path string) *sync.RWMutex {
	l := &s[stripeOf(path)]
	l.RLock()
	return l
}

func (s *stripes) alone(path string) *sync.RWMutex {
	l := &s[stripeOf(path)]
	l.Lock()
	return l
}

// both locks two paths exclusively and returns the function that unlocks them.
func (s *stripes) both(a, b string) (unlock func()) {
	i, j := stripeOf(a), stripeOf(b)
	if i > j {
		i, j = j, i
	}
	s[i].Lock()
	if i != j {
		s[j].Lock()
	}
	return func() {
		if i != j {
			s[j].Unlock()
		}
		s[i].Unlock()
	}
}

// all locks every path exclusively: when a directory moves, so does everything
// beneath it.
func (s *stripes) all() (unlock func()) {
	for i := range s {
		s[i].Lock()
	}
	return func() {
		for i := range s {
			s[i].Unlock()
		}
	}
}
