package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
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
func newIndex(now int64) Record {
	return Record{Created: now, Revision: 1 + rand.Uint64N(1<<61)}
}

func (m *Manager) loadIndex(ctx context.Context, user string, now int64) (userIndex, error) {
	key := m.userIndexKey(user)
	u := userIndex{entries: make(map[string]indexEntry)}
	r, err := m.engine.Load(ctx, key[:], now)
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
func (m *Manager) changeIndex(ctx context.Context, user string, until int64, fn func(map[string]indexEntry) bool) error {
	key := m.userIndexKey(user)
	for attempt := range maxAttempts {
		pause(attempt)
		now := m.now()
		u, err := m.loadIndex(ctx, user, now)
		if err != nil {
			return err
		}
		maps.DeleteFunc(u.entries, func(_ string, e indexEntry) bool { return e.until <= now })
		if !fn(u.entries) && !u.corrupt {
			return nil
		}
		r := u.record
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
		} else if err = m.engine.Store(ctx, key[:], &r, u.expect, now); errors.Is(err, store.ErrTooLarge) {
			err = fmt.Errorf("%w: the list of a user's %d sessions: %w", ErrTooLarge, len(u.entries), err)
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: %d tries to change the list of a user's sessions", ErrConflict, maxAttempts)
}
