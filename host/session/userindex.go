package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/waddle-sessions/waddle/host/store"
)

// userIndex is the list of a user's sessions. It is a record like any other,
// under a key made from the user's name, and works with an engine that cannot
// enumerate.
type userIndex struct {
	record  Record
	expect  int64
	corrupt bool
	entries map[string]indexEntry // by public id
}

func (m *Manager) userIndexKey(user string) storageKey {
	text := append(make([]byte, 0, 256), listDomain...) // on the stack, for most names
	text = append(append(text, m.namespace...), 0)
	return sha256.Sum256(append(text, user...))
}

// newIndex makes the record of a list that is not there. Unlike a session's key,
// a list's key comes again after the list was removed. If its revisions began
// anew, somebody who read the last list could take the next one for it and
// overwrite it.
func newIndex(now store.Millis) Record {
	return Record{Created: now, Revision: 1 + rand.Uint64N(1<<61)}
}

// unjudged is the time by which lists, and what they list, are loaded: by it
// nothing is over. A session's own record says whether it is over. If the list
// were judged as well, a clock that is ahead for a while would make a log-in
// begin a new list in place of one that counts again when the clock is right, and
// sessions that should be ended would not be found.
const unjudged = 1

// loadIndex loads the list of a user's sessions, over or not; now is for a new
// list.
func (m *Manager) loadIndex(ctx context.Context, user string, now store.Millis) (userIndex, error) {
	key := m.userIndexKey(user)
	u := userIndex{entries: make(map[string]indexEntry)}
	r, err := m.records.Load(ctx, key[:], unjudged)
	if err == nil {
		var block indexBlock
		if block, err = indexBlockOf(&r); err == nil {
			u.entries, err = block.entries()
		}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		u.record, u.expect = newIndex(now), store.Absent
		return u, nil
	case isCorrupt(err):
		// Without naming the user: the key is only a hash of the name.
		m.event(ctx, Event{Kind: EventCorrupt, Err: fmt.Errorf("the list of a user's sessions: %w", err)})
		u.record, u.expect, u.corrupt = newIndex(now), store.Any, true
		u.entries = make(map[string]indexEntry)
		return u, nil
	case err != nil:
		return u, err
	}
	u.record, u.expect = r, int64(r.Revision)
	return u, nil
}

// changeIndex changes the list of a user's sessions in one step, and makes it
// last at least until the given time. fn reports whether it changed anything; it
// is called again if the list was changed meanwhile. A list that cannot be read
// is replaced in any case: what it lists does not count, and must not count again
// if it becomes readable.
func (m *Manager) changeIndex(ctx context.Context, user string, until store.Millis, fn func(map[string]indexEntry) bool) error {
	key := m.userIndexKey(user)
	absent := make(map[string]bool)
	t := triesOf(ctx)
	t.begin()
	defer t.end()
	for {
		now := m.now()
		u, err := m.loadIndex(ctx, user, now)
		if err != nil {
			return err
		}
		m.prune(ctx, user, u.entries, absent, now)
		if !fn(u.entries) && !u.corrupt {
			return nil
		}
		r, at := u.record, now
		if u.expect != store.Absent && r.Expires <= now {
			at = unjudged // otherwise the store would take it for gone
		}
		r.Revision++
		r.Codec = m.settings.Codec.ID()
		r.Saved = now
		r.Expires = max(r.Expires, until)
		if len(u.entries) == 0 {
			r.Expires = 1
		}
		var o overlay
		o.set(indexKey, makeIndexBlock(u.entries))
		r.setValues(&o, Values{})
		err = nil
		if r.size() > maxIndex {
			err = fmt.Errorf("%w: the list of a user's %d sessions has %d bytes: must have at most %d; end some",
				ErrTooLarge, len(u.entries), r.size(), maxIndex)
		} else if err = m.records.Store(ctx, key[:], &r, u.expect, at); errors.Is(err, store.ErrTooLarge) {
			err = fmt.Errorf("%w: the list of a user's %d sessions: %w", ErrTooLarge, len(u.entries), err)
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := m.again(t, "change the list of a user's sessions"); err != nil {
			return err
		}
	}
}

// prune removes from a list the entries that are over by the clock and of which
// the storage has nothing left: by a clock that is ahead, all may be over. It
// looks up some at a time. absent remembers the results over several calls.
func (m *Manager) prune(ctx context.Context, user string, e map[string]indexEntry, absent map[string]bool, now store.Millis) {
	looks := 0
	for publicID, entry := range e {
		if entry.until > now {
			continue
		}
		gone, known := absent[publicID]
		if !known {
			if looks == indexLookups {
				continue
			}
			looks++
			_, is, err := m.indexedSession(ctx, user, publicID, entry, now)
			gone = err == nil && is == sessionAbsent
			absent[publicID] = gone
		}
		if gone {
			delete(e, publicID)
		}
	}
}
