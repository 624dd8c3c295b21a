package session

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/store"
)

// errUnlisted is returned when a user's list no longer has a session as it was
// loaded: it was ended, or has got another id.
var errUnlisted = errors.New("session: the list no longer has the session as it was loaded")

// list makes sure that a session bound to a user is in the list of the user's
// sessions before it is stored under a key that the list does not have, and that
// the list lasts as long as the session. It returns the changes, and with them
// what must be remembered of that.
//
// Only a log-in adds a session. One that was listed and no longer is was ended:
// errUnlisted, whatever this request still knows of it.
func (s *Session) list(t *attempt, o *overlay, now store.Millis) (*overlay, error) {
	var b binding
	if s.bind != nil {
		b = *s.bind
	} else if found, ok := s.stillBound(o); ok {
		b = found
	} else {
		return o, nil
	}
	// last is the latest end to which looks move the session's, so that not every look
	// changes the list. The exception is the time for which unsealed lists are
	// believed: a list must count after that time if its session is saved before.
	last := s.manager.lasts(&t.next)
	if s.bind == nil && !t.fresh && last <= b.until && now >= s.manager.unsealedUntil() {
		return o, nil
	}
	b.until = last + s.manager.duration
	var err error
	if s.bind != nil {
		err = s.listLogIn(t, &b, now)
	} else {
		err = s.listAgain(t, &b, now)
	}
	if err != nil {
		return nil, err
	}
	with := o.copy()
	with.set(userKey, b.encode())
	return &with, nil
}

// listLogIn adds a session with which somebody has logged in.
func (s *Session) listLogIn(t *attempt, b *binding, now store.Millis) error {
	entry := indexEntry{since: now, added: now, until: b.until, keys: []storageKey{*t.key}}
	if s.exists {
		// Until the old record is gone, ending the session must end both.
		entry.keys = append(entry.keys, s.key)
	}
	own := []string{b.handle}
	if old, ok := bindingOf(&overlay{}, s.record.Values); ok && old.user == b.user {
		own = append(own, old.handle) // removed when this one is stored
	}
	return s.manager.enlist(&s.saving, b, own, func(e map[string]indexEntry) error {
		e[b.handle] = entry
		return nil
	})
}

// listAgain changes the entry of a session that gets a new id or lasts longer.
func (s *Session) listAgain(t *attempt, b *binding, now store.Millis) error {
	return s.manager.enlist(&s.saving, b, []string{b.handle}, func(e map[string]indexEntry) error {
		entry, ok := e[b.handle]
		if !ok || !slices.Contains(entry.keys, s.key) {
			return errUnlisted
		}
		if t.fresh && !entry.follow(s.key, *t.key, now) {
			return errUnlisted
		}
		entry.added, entry.until = now, max(entry.until, b.until)
		e[b.handle] = entry
		return nil
	})
}

// enlist changes the list of the user of a binding and keeps it within its
// bounds. For that it ends the sessions whose log-ins are the oldest, but none
// whose handles are the caller's own.
func (m *Manager) enlist(ctx context.Context, b *binding, own []string, change func(map[string]indexEntry) error) error {
	limit := m.settings.MaxUserSessions
	room := makeRoom{manager: m, user: b.user, own: own, is: make(map[string]presence)}
	for {
		var failed error
		listed := 0
		err := m.changeIndex(ctx, b.user, b.until, func(e map[string]indexEntry) bool {
			if failed = change(e); failed == nil {
				failed = room.make(ctx, e, limit)
			}
			listed = len(e) - room.owned(e)
			return failed == nil
		})
		if failed != nil {
			return failed
		}
		if errors.Is(err, ErrTooLarge) && listed > 0 {
			// The store takes less than the longest list allowed. The limit is now some
			// steps beneath its bound, so that not every log-in meets it anew.
			limit = listed * 3 / 4
			continue
		}
		if err == nil {
			room.end(ctx)
		}
		return err
	}
}

// makeRoom holds what making room in a full list needs.
type makeRoom struct {
	manager *Manager
	user    string
	own     []string
	is      map[string]presence // by handle, as far as looked up
	ended   map[string]indexEntry
}

// lookPast is how many of the oldest entries are looked up in a full list:
// entries whose sessions have ended by themselves go first.
const lookPast = 8

func (r *makeRoom) owned(e map[string]indexEntry) (n int) {
	for _, handle := range r.own {
		if _, ok := e[handle]; ok {
			n++
		}
	}
	return n
}

// make removes entries from a list until it is within the limit, its own new one
// included.
func (r *makeRoom) make(ctx context.Context, e map[string]indexEntry, limit int) error {
	r.ended = nil
	over := len(e) - r.owned(e) + 1 - max(1, limit)
	if over <= 0 {
		return nil
	}
	type listedSince struct {
		since  store.Millis
		handle string
	}
	others := make([]listedSince, 0, len(e))
	now := r.manager.now()
	for handle, entry := range e {
		if slices.Contains(r.own, handle) {
			continue
		}
		since := entry.since
		if since > now {
			// The clock was ahead then: the entry is older than those made after the
			// clock was right again.
			since -= math.MaxInt64
		}
		others = append(others, listedSince{since, handle})
	}
	slices.SortFunc(others, func(a, b listedSince) int {
		return cmp.Or(cmp.Compare(a.since, b.since), strings.Compare(a.handle, b.handle))
	})
	var overToo []listedSince
	for _, other := range others[:min(lookPast, len(others))] {
		is, err := r.look(ctx, other.handle, e[other.handle])
		if err != nil {
			return err
		}
		switch is {
		case sessionAbsent:
			delete(e, other.handle)
			over--
		case sessionOver:
			overToo = append(overToo, other)
		}
	}
	r.ended = make(map[string]indexEntry)
	for _, other := range append(overToo, others...) {
		if over <= 0 {
			break
		}
		if entry, ok := e[other.handle]; ok {
			r.ended[other.handle] = entry
			delete(e, other.handle)
			over--
		}
	}
	return nil
}

func (r *makeRoom) look(ctx context.Context, handle string, entry indexEntry) (is presence, err error) {
	now := r.manager.now()
	if now-entry.added <= healAfterFull {
		return sessionAlive, nil // or about to be stored
	}
	is, known := r.is[handle]
	if !known {
		_, is, err = r.manager.listed(ctx, r.user, handle, entry, now)
		r.is[handle] = is
	}
	return is, err
}

// end removes what is left of the sessions that were taken out of the list. A
// failure does no harm: the session is not listed.
func (r *makeRoom) end(ctx context.Context) {
	for _, entry := range r.ended {
		for _, key := range entry.keys {
			_, _ = r.manager.endKey(ctx, key, errTooManySessions)
		}
	}
}

// errTooManySessions is the reason for the end of a session that nobody ended.
var errTooManySessions = errors.New("session: its user has logged in again; that makes more sessions than Settings.MaxUserSessions, or than the store takes")

// stillBound returns the binding that the changes leave, if any.
func (s *Session) stillBound(o *overlay) (b binding, ok bool) {
	if !s.record.Values.own {
		return b, false // the usual case: nothing of ours is in it
	}
	return bindingOf(o, s.record.Values)
}

// unlist removes a session that was ended, or bound to another user, from its
// list. A failure does no harm: lists drop sessions that are gone.
func (s *Session) unlist(values Values) {
	if b, ok := bindingOf(&overlay{}, values); ok {
		_ = s.manager.changeIndex(&s.saving, b.user, 0, func(e map[string]indexEntry) bool {
			_, ok := e[b.handle]
			delete(e, b.handle)
			return ok
		})
	}
}

// unlistUnbound is unlist for a session that was just stored with another
// binding, or none.
func (s *Session) unlistUnbound() {
	if s.exists && (s.bind != nil || s.overlay.cleared) {
		s.unlist(s.record.Values)
	}
}

// drop removes entries from a list if they are still what they were.
func (m *Manager) drop(ctx context.Context, user string, vanished map[string]indexEntry) error {
	if len(vanished) == 0 {
		return nil
	}
	return m.changeIndex(ctx, user, 0, func(e map[string]indexEntry) bool {
		before := len(e)
		maps.DeleteFunc(e, func(handle string, entry indexEntry) bool {
			seen, ok := vanished[handle]
			return ok && seen.same(entry)
		})
		return len(e) != before
	})
}
