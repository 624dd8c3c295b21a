package session

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// deadCookies remembers, for a while and in this process, cookies that name
// nothing any more, so that each is taken back once.
//
// To take one back is to remove whatever cookie the browser has under the name by
// the time that it gets the response: a new session's, if another request of the
// same page began one. A page that is loaded stands at the beginning, so that
// with it a dead cookie goes at once. Requests that pages send come several at a
// time; with one of those it goes if it was there some time before and no
// session was begun in its place.
type deadCookies struct {
	mu    sync.Mutex
	known map[storageKey]deadCookie
	ring  []storageKey // of those known
	next  int          // to be forgotten, once the ring is full
}

type deadCookie struct {
	seen  store.Millis // first
	until store.Millis // that it is left alone: it was taken back, or replaced
}

const (
	deadCookiesKept = 1024
	// deadFor is how long the requests of a page that is loaded may take to
	// arrive, and then some.
	deadFor = store.Millis(10 * time.Second / time.Millisecond)
	// replacedFor outlasts the requests that were sent before a cookie was
	// replaced.
	replacedFor = store.Millis(time.Hour / time.Millisecond)
)

// takeBack reports whether a cookie is to be taken back with this response.
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

// replaced notes that a client which came with a cookie is given another one.
func (d *deadCookies) replaced(key storageKey, now store.Millis) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(key, deadCookie{seen: now, until: now + replacedFor})
}

// mayBeDue reports false if takeBack is certain to do so.
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

// takeBackDead reports whether the cookie that the client sent is to be taken
// back: all that it names is over for certain, nothing new is sent, and it is
// not known to be replaced.
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

// stillStored reports whether the storage has, or may have, a session that is over by
// the clock. By one that is ahead all are, and are there again when it is right: such
// a cookie has time until the storage has swept the session away.
func (s *Session) stillStored(key storageKey) bool {
	r, err := s.manager.records.Load(&s.saving, key[:], unjudged)
	return err == nil && r.State == RecordSession || err != nil && !errors.Is(err, store.ErrNotFound)
}

// replaced notes that the client gets a new id in place of the one that its
// cookie has.
func (s *Session) replaced(now store.Millis) {
	if s.exists {
		s.manager.dead.replaced(s.key, now)
		return
	}
	if s.w == nil {
		return
	}
	for _, id := range s.ids {
		s.manager.dead.replaced(s.manager.keyOf(id), now)
	}
}
