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
// under a key made of the user's name, and works with an engine that cannot
// enumerate.
type userIndex struct {
	record  Record
	expect  int64
	corrupt bool
	entries map[string]indexEntry // by handle
}

func (m *Manager) userIndexKey(user string) storageKey {
	text := append(make([]byte, 0, 256), listDomain...) // on the stack, for most names
	text = append(append(text, m.namespace...), 0)
	return sha256.Sum256(append(text, user...))
}

// newIndex makes the record of a list that is not there. Unlike a session's, a
// list's key comes again after the list was removed: were its revisions to begin
// anew, whoever read the last list could take the next one for it and write over
// what that one has.
func newIndex(now store.Millis) Record {
	return Record{Created: now, Revision: 1 + rand.Uint64N(1<<61)}
}

// unjudged is the time by which lists are loaded, and what they list. By it nothing is
// over. Whether a session is, its own record says; were the list judged as well, a
// clock that is ahead for a while would have a log-in begin a new list in place of one
// that counts again when the clock is right, and sessions would not be found that
// are to be ended.
const unjudged = 1

// loadIndex loads the list of a user's sessions, over or not: now is for a new one.
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
		// Without a word of which user: the key is a hash of the name alone.
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

// changeIndex changes the list of a user's sessions as one step, so that it
// lasts until the given time at least. fn reports whether it changed anything;
// it is called again if the list was changed meanwhile. A list that cannot be
// read is replaced in any case: what it lists does not count, and is not to
// count again should it become readable.
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
			at = unjudged // to the store it would not be there
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
		if len(r.room) > maxIndex {
			err = fmt.Errorf("%w: the list of a user's %d sessions has %d bytes, and the most is %d; end some",
				ErrTooLarge, len(u.entries), len(r.room), maxIndex)
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

// prune takes out of a list what is over by the clock, and of which the storage has
// nothing any more: by a clock that is ahead all may be over. It looks at some at a
// time. absent are those of which it is known, over several calls.
func (m *Manager) prune(ctx context.Context, user string, e map[string]indexEntry, absent map[string]bool, now store.Millis) {
	looks := 0
	for handle, entry := range e {
		if entry.until > now {
			continue
		}
		gone, known := absent[handle]
		if !known {
			if looks == lookPast {
				continue
			}
			looks++
			_, is, err := m.listed(ctx, user, handle, entry, now)
			gone = err == nil && is == sessionAbsent
			absent[handle] = gone
		}
		if gone {
			delete(e, handle)
		}
	}
}
