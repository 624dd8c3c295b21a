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

// index makes sure that a session bound to a user is in the list of the user's
// sessions before it is stored under a key that the list does not have, and that
// the list lasts as long as the session. It returns the changes, and with them
// what must be remembered of that.
//
// Only a log-in adds a session. One that was listed and no longer is was ended:
// errUnlisted, whatever this request still knows of it.
func (s *Session) index(t *attempt, o *overlay, now store.Millis) (*overlay, error) {
	var b binding
	if s.bind != nil {
		b = *s.bind
	} else if found, ok := s.bindingAfter(o); ok {
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
	b.until = last + s.manager.lifetime
	var err error
	if s.bind != nil {
		err = s.indexLogIn(t, &b, now)
	} else {
		err = s.reindex(t, &b, now)
	}
	if err != nil {
		return nil, err
	}
	with := o.copy()
	with.set(userKey, b.encode())
	return &with, nil
}

// indexLogIn adds a session with which somebody has logged in.
func (s *Session) indexLogIn(t *attempt, b *binding, now store.Millis) error {
	entry := indexEntry{since: now, added: now, until: b.until, keys: []storageKey{*t.key}}
	if s.exists {
		// Until the old record is gone, ending the session must end both.
		entry.keys = append(entry.keys, s.key)
	}
	own := []string{b.publicID}
	if old, ok := bindingOf(&overlay{}, s.record.Values); ok && old.user == b.user {
		own = append(own, old.publicID) // removed when this one is stored
	}
	return s.manager.updateIndex(s.saving(), b, own, func(e map[string]indexEntry) error {
		e[b.publicID] = entry
		return nil
	})
}

// reindex changes the entry of a session that gets a new id or lasts longer.
func (s *Session) reindex(t *attempt, b *binding, now store.Millis) error {
	return s.manager.updateIndex(s.saving(), b, []string{b.publicID}, func(e map[string]indexEntry) error {
		entry, ok := e[b.publicID]
		if !ok || !slices.Contains(entry.keys, s.key) {
			return errUnlisted
		}
		if t.fresh && !entry.follow(s.key, *t.key, now) {
			return errUnlisted
		}
		entry.added, entry.until = now, max(entry.until, b.until)
		e[b.publicID] = entry
		return nil
	})
}

// updateIndex changes the list of the user of a binding and keeps it within its
// bounds. For that it ends the sessions whose log-ins are the oldest, but none
// whose public ids are the caller's own.
func (m *Manager) updateIndex(ctx context.Context, b *binding, own []string, change func(map[string]indexEntry) error) error {
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
			room.revoke(ctx)
		}
		return err
	}
}

// makeRoom holds what making room in a full list needs.
type makeRoom struct {
	manager *Manager
	user    string
	own     []string
	is      map[string]presence // by public id, as far as looked up
	revoked map[string]indexEntry
}

// indexLookups is how many of the oldest entries are looked up in a full list:
// entries whose sessions have ended by themselves go first.
const indexLookups = 8

func (r *makeRoom) owned(e map[string]indexEntry) (n int) {
	for _, publicID := range r.own {
		if _, ok := e[publicID]; ok {
			n++
		}
	}
	return n
}

// make removes entries from a list until it is within the limit, its own new one
// included.
func (r *makeRoom) make(ctx context.Context, e map[string]indexEntry, limit int) error {
	r.revoked = nil
	over := len(e) - r.owned(e) + 1 - max(1, limit)
	if over <= 0 {
		return nil
	}
	type listedSince struct {
		since    store.Millis
		publicID string
	}
	others := make([]listedSince, 0, len(e))
	now := r.manager.now()
	for publicID, entry := range e {
		if slices.Contains(r.own, publicID) {
			continue
		}
		since := entry.since
		if since > now {
			// The clock was ahead then: the entry is older than those made after the
			// clock was right again.
			since -= math.MaxInt64
		}
		others = append(others, listedSince{since, publicID})
	}
	slices.SortFunc(others, func(a, b listedSince) int {
		return cmp.Or(cmp.Compare(a.since, b.since), strings.Compare(a.publicID, b.publicID))
	})
	var overToo []listedSince
	for _, other := range others[:min(indexLookups, len(others))] {
		is, err := r.presenceOf(ctx, other.publicID, e[other.publicID])
		if err != nil {
			return err
		}
		switch is {
		case sessionAbsent:
			delete(e, other.publicID)
			over--
		case sessionOver:
			overToo = append(overToo, other)
		}
	}
	r.revoked = make(map[string]indexEntry)
	for _, other := range append(overToo, others...) {
		if over <= 0 {
			break
		}
		if entry, ok := e[other.publicID]; ok {
			r.revoked[other.publicID] = entry
			delete(e, other.publicID)
			over--
		}
	}
	return nil
}

func (r *makeRoom) presenceOf(ctx context.Context, publicID string, entry indexEntry) (is presence, err error) {
	now := r.manager.now()
	if now-entry.added <= indexWaitFull {
		return sessionAlive, nil // or about to be stored
	}
	is, known := r.is[publicID]
	if !known {
		_, is, err = r.manager.indexedSession(ctx, r.user, publicID, entry, now)
		r.is[publicID] = is
	}
	return is, err
}

// revoke removes what is left of the sessions that were taken out of the list. A
// failure does no harm: the session is not listed.
func (r *makeRoom) revoke(ctx context.Context) {
	for _, entry := range r.revoked {
		for _, key := range entry.keys {
			_, _ = r.manager.revokeKey(ctx, key, errTooManySessions)
		}
	}
}

// errTooManySessions is the reason for the end of a session that nobody ended.
var errTooManySessions = errors.New("session: its user has logged in again; that makes more sessions than Settings.MaxUserSessions, or than the store takes")

// bindingAfter returns the binding that the changes leave, if any.
func (s *Session) bindingAfter(o *overlay) (b binding, ok bool) {
	if !s.record.Values.own {
		return b, false // the usual case: nothing of ours is in it
	}
	return bindingOf(o, s.record.Values)
}

// unindex removes a session that was ended, or bound to another user, from its
// list. A failure does no harm: lists drop sessions that are gone.
func (s *Session) unindex(values Values) {
	if b, ok := bindingOf(&overlay{}, values); ok {
		_ = s.manager.changeIndex(s.saving(), b.user, 0, func(e map[string]indexEntry) bool {
			_, ok := e[b.publicID]
			delete(e, b.publicID)
			return ok
		})
	}
}

// unindexUnbound is unindex for a session that was just stored with another
// binding, or none.
func (s *Session) unindexUnbound() {
	if s.exists && (s.bind != nil || s.overlay.cleared) {
		s.unindex(s.record.Values)
	}
}

// dropVanished removes entries from a list if they are still what they were.
func (m *Manager) dropVanished(ctx context.Context, user string, vanished map[string]indexEntry) error {
	if len(vanished) == 0 {
		return nil
	}
	return m.changeIndex(ctx, user, 0, func(e map[string]indexEntry) bool {
		before := len(e)
		maps.DeleteFunc(e, func(publicID string, entry indexEntry) bool {
			seen, ok := vanished[publicID]
			return ok && seen.same(entry)
		})
		return len(e) != before
	})
}
