package session

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// deadCookies remembers, for a while and in this process, cookies that no longer
// name anything, so that each is taken back once. What was replaced on another server is
// known from the storage: see leaveWord.
//
// Taking one back removes whatever cookie the browser has under the name when it
// gets the response: a new session's, if another request of the same page began
// one. Loading a page comes first, so its request takes a dead cookie back at
// once. Pages send several requests at a time: one of those takes the cookie back
// if it was seen some time before and no session was begun in its place.
type deadCookies struct {
	mu    sync.Mutex
	known map[storageKey]deadCookie
	ring  []storageKey // the keys of known
	next  int          // the one to forget next, once the ring is full
}

type deadCookie struct {
	seen  store.Millis // for the first time
	until store.Millis // left alone until then: it was taken back, or replaced
}

const (
	deadCookiesKept = 1024
	// deadFor is how long the requests of a loading page may take to arrive, with a
	// margin.
	deadFor = store.Millis(10 * time.Second / time.Millisecond)
	// replacedFor outlasts the requests that were sent before a cookie was
	// replaced.
	replacedFor = store.Millis(time.Hour / time.Millisecond)
)

// takeBack reports whether this response takes a cookie back.
func (d *deadCookies) takeBack(key storageKey, page bool, now store.Millis) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, known := d.known[key]
	switch {
	case !known && !page:
		d.keep(key, deadCookie{seen: now})
		return false
	case known && (now < c.until || !page && now-c.seen < deadFor):
		return false
	}
	d.keep(key, deadCookie{seen: now, until: math.MaxInt64})
	return true
}

// replaced records that a client that sent a cookie gets another one.
func (d *deadCookies) replaced(key storageKey, now store.Millis) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(key, deadCookie{seen: now, until: now + replacedFor})
}

// mayBeDue returns false if takeBack would certainly do so.
func (d *deadCookies) mayBeDue(key storageKey, page bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, known := d.known[key]
	return page && !known || known && c.until != math.MaxInt64
}

func (d *deadCookies) keep(key storageKey, c deadCookie) {
	if _, known := d.known[key]; known {
		d.known[key] = c
		return
	}
	if d.known == nil {
		d.known = make(map[storageKey]deadCookie)
	}
	if len(d.ring) < deadCookiesKept {
		d.ring = append(d.ring, key)
	} else {
		delete(d.known, d.ring[d.next])
		d.ring[d.next] = key
		d.next = (d.next + 1) % deadCookiesKept
	}
	d.known[key] = c
}

// takeBackDead reports whether this response takes back the cookie that the
// client sent: all that it names is certainly over, nothing new is sent, and it
// is not known to be replaced.
func (s *Session) takeBackDead() bool {
	if !s.dead || s.exists || s.manager.clash.Load() {
		return false // it may be another manager's
	}
	h := s.w.request.Header
	page := h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document"
	now, due := s.manager.now(), false
	for _, id := range s.ids {
		key := s.manager.keyOf(id)
		if s.manager.dead.mayBeDue(key, page) && s.stillStored(key) {
			continue
		}
		due = s.manager.dead.takeBack(key, page, now) || due
	}
	return due
}

// stillStored reports whether the storage has, or may have, a session that is
// over by the clock, or word that its cookie was replaced. If the clock is ahead, all
// sessions are over, and return when it is right: such a cookie has time until the storage
// has swept its session away.
func (s *Session) stillStored(key storageKey) bool {
	r, err := s.manager.records.Load(s.saving(), key[:], unjudged)
	if err != nil {
		return !errors.Is(err, store.ErrNotFound)
	}
	return r.State == RecordSession || r.Expires > s.manager.now()
}

// replaced records that the client gets a new id in place of the one in its
// cookie.
func (s *Session) replaced(now store.Millis) {
	if s.exists {
		s.manager.dead.replaced(s.key, now)
		return
	}
	if s.w == nil {
		return
	}
	for _, id := range s.ids {
		key := s.manager.keyOf(id)
		s.manager.dead.replaced(key, now)
		if s.dead && s.transport == TransportCookie {
			s.leaveWord(key, now)
		}
	}
}

// leaveWord tells other servers, by the storage, that a dead cookie was replaced: a request
// that was sent with it may still run on one of them, and its response would remove the
// new cookie. In every other respect the word is as good as nothing. Of a session that was
// ended or renewed, what is left under its id says the same.
//
// If the storage fails, the new session is there all the same.
func (s *Session) leaveWord(key storageKey, now store.Millis) {
	if s.stillStored(key) {
		return
	}
	word := s.manager.tombstone(endedRevision, s.transport, now)
	word.CookieUntil = 0
	_ = s.manager.records.Store(s.saving(), key[:], word, store.Absent, now)
}

// isWord reports whether a record is what leaveWord leaves.
func (r *Record) isWord() bool { return r.State == RecordEnded && r.CookieUntil == 0 }
