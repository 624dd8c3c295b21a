package segments

import (
	"math/bits"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

// kept has in memory the sessions that were read or written lately. Reading one again
// takes neither a call of the system nor a look at the index.
//
// It is never stale: what it has of a key is what the index points to. put stores the new
// record here or forgets the old one, bury forgets it, and Clear forgets all. Compaction
// changes only where a record lies. A session that leaves the index because it has expired
// stays here, but nobody sees it: it has expired here as well, and if the clock goes back to
// before such an expiry, nothing here is believed.
type kept struct {
	cache  *cache.Cache // nil for none
	most   int          // size of the largest value that is kept
	after  int64        // the latest expiry of the sessions that left the index by it
	buffer []byte       // for values that do not lie in one piece
}

// MinCache is the least that Options.CacheBytes can be.
const MinCache = cache.MinBytes

// A value larger than one part in largestKept of the memory is not kept: it would take the
// place of too many others.
const largestKept = 16

func (k *kept) open(bytes int64) error {
	if bytes == 0 {
		return nil
	}
	c, err := cache.New(cache.Options{MaxBytes: bytes, Scratch: k.scratch})
	k.cache, k.most = c, int(min(bytes/largestKept, MaxValue))
	return err
}

func (k *kept) scratch(n int) []byte {
	if n > len(k.buffer) {
		k.buffer = make([]byte, 1<<bits.Len(uint(n-1)))
	}
	return k.buffer[:n]
}

// look returns the value under a key, valid until the next call.
func (k *kept) look(key []byte, now int64) (value []byte, ok bool) {
	if k.cache == nil || now < k.after {
		return nil, false
	}
	value, err := k.cache.Get(key, now)
	return value, err == nil
}

// note keeps a session as it is now. It returns false if there is no room for it.
func (k *kept) note(key, value []byte, expires, now int64) bool {
	if k.cache == nil {
		return false
	}
	w := guest.Write{Key: key, Value: value, Expires: expires, Now: now, Expect: abi.ExpectAny}
	if len(value) > k.most || k.cache.Set(w) != nil {
		k.forget(key)
		return false
	}
	return true
}

func (k *kept) forget(key []byte) {
	if k.cache != nil {
		_ = k.cache.Delete(key, 0)
	}
}

// expired is called when a session leaves the index, or its place there, because it has
// expired.
func (k *kept) expired(expires int64) { k.after = max(k.after, expires) }

// turned is called with the time. If the clock was wrong when sessions expired, they are
// forgotten, so that the others are believed again.
func (k *kept) turned(now int64) {
	if k.cache != nil && now < k.after-clockGrace {
		k.clear()
	}
}

func (k *kept) clear() {
	if k.cache != nil {
		_ = k.cache.Clear(0)
	}
	k.after = 0
}
