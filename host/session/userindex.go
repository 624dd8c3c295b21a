package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/waddle-sessions/waddle/host/store"
)

// list sees to it that a session which is bound to a user is in the list of the
// user's sessions before it is stored under a key that the list does not have,
// and that the list lasts as long as the session. It returns the changes with
// what is to be remembered of that.
func (s *Session) list(t *attempt, o *overlay, now int64) (*overlay, error) {
	var b binding
	if s.bind != nil {
		b = *s.bind
	} else if found, ok := s.stillBound(o); ok {
		b = found
	} else {
		return o, nil
	}
	// The end that looks move the session's to, at most: they need not each
	// change the list.
	last := s.manager.lasts(&t.next)
	if s.bind == nil && !t.fresh && last <= b.until {
		return o, nil
	}
	b.until = last + s.manager.duration
	keys := []storageKey{*t.key}
	if t.fresh && s.exists {
		// Until the old record is gone, ending the session must end both.
		keys = append(keys, s.key)
	}
	add := func(e map[string]indexEntry) bool {
		e[b.handle] = indexEntry{added: now, until: b.until, keys: keys}
		return true
	}
	err := s.manager.changeIndex(&s.saving, b.user, b.until, add)
	if errors.Is(err, ErrTooLarge) {
		if err := s.manager.heal(&s.saving, b.user); err != nil {
			return nil, err
		}
		err = s.manager.changeIndex(&s.saving, b.user, b.until, add)
	}
	if err != nil {
		return nil, err
	}
	with := o.copy()
	with.set(userKey, b.encode())
	return &with, nil
}

// stillBound returns the binding that the changes leave, if there is one.
func (s *Session) stillBound(o *overlay) (b binding, ok bool) {
	if !s.record.Values.own {
		return b, false // as is the rule: nothing of ours is in it
	}
	return bindingOf(o, s.record.Values)
}

// unlist takes a session that was ended, or bound to another user, out of the
// list it was in. That it stays there does no harm: lists drop what is no more.
func (s *Session) unlist() {
	if !s.exists {
		return
	}
	if b, ok := bindingOf(&overlay{}, s.record.Values); ok {
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
	if s.bind != nil || s.overlay.cleared {
		s.unlist()
	}
}

// heal drops the entries of a list whose sessions are no more.
func (m *Manager) heal(ctx context.Context, user string) error {
	now := m.now()
	list, err := m.loadIndex(ctx, user, now)
	if err != nil {
		return err
	}
	vanished := make(map[string]indexEntry)
	for handle, entry := range list.entries {
		if now-entry.added <= healAfterFull {
			continue
		}
		_, alive, err := m.listed(ctx, user, handle, entry, now)
		if err != nil {
			return err
		}
		if !alive {
			vanished[handle] = entry
		}
	}
	return m.drop(ctx, user, vanished)
}

// drop takes entries out of a list, if they are still what they were.
func (m *Manager) drop(ctx context.Context, user string, vanished map[string]indexEntry) error {
	if len(vanished) == 0 {
		return nil
	}
	return m.changeIndex(ctx, user, 0, func(e map[string]indexEntry) bool {
		before := len(e)
		maps.DeleteFunc(e, func(handle string, entry indexEntry) bool {
			seen, ok := vanished[handle]
			return ok && seen.added == entry.added && slices.Equal(seen.keys, entry.keys)
		})
		return len(e) != before
	})
}

// userIndex is the list of a user's sessions. It is a record like any other,
// under a key made of the user's name, and works with an engine that cannot
// enumerate.
type userIndex struct {
	record  Record
	expect  int64
	entries map[string]indexEntry // by handle
}

// indexEntry is a session in the list: the keys that it is, or is about to be,
// stored under, and when it is over for certain.
type indexEntry struct {
	added, until int64
	keys         []storageKey
}

func userIndexKey(user string) storageKey {
	return sha256.Sum256([]byte("waddle user index 1\x00" + user))
}

func (e indexEntry) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(e.added))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.until))
	for _, key := range e.keys {
		b = append(b, key[:]...)
	}
	return b
}

func decodeIndexEntry(b []byte) (e indexEntry, ok bool) {
	if len(b) < 16 || (len(b)-16)%sha256.Size != 0 {
		return e, false
	}
	e.added = int64(binary.LittleEndian.Uint64(b))
	e.until = int64(binary.LittleEndian.Uint64(b[8:]))
	for b = b[16:]; len(b) > 0; b = b[sha256.Size:] {
		e.keys = append(e.keys, storageKey(b[:sha256.Size]))
	}
	return e, true
}

// newIndex makes the record of a list that is not there. Unlike a session's, a
// list's key comes again after the list was removed: were its revisions to begin
// anew, whoever read the last list could take the next one for it and write over
// what that one has.
func newIndex(now int64) Record {
	return Record{Created: now, Revision: 1 + rand.Uint64N(1<<61)}
}

func (m *Manager) loadIndex(ctx context.Context, user string, now int64) (userIndex, error) {
	key := userIndexKey(user)
	u := userIndex{entries: make(map[string]indexEntry)}
	r, err := m.engine.Load(ctx, key[:], now)
	switch {
	case errors.Is(err, store.ErrNotFound):
		u.record, u.expect = newIndex(now), store.Absent
		return u, nil
	case isCorrupt(err):
		// Without a word of which user: the key is a hash of the name alone.
		m.event(ctx, Event{Kind: EventCorrupt, Err: fmt.Errorf("the list of a user's sessions: %w", err)})
		u.record, u.expect = newIndex(now), store.Any
		return u, nil
	case err != nil:
		return u, err
	}
	u.record, u.expect = r, int64(r.Revision)
	for handle, data := range r.Values.All() {
		if entry, ok := decodeIndexEntry(data); ok {
			u.entries[handle] = entry
		}
	}
	return u, nil
}

// changeIndex changes the list of a user's sessions as one step, so that it
// lasts until the given time at least. fn reports whether it changed anything;
// it is called again if the list was changed meanwhile.
func (m *Manager) changeIndex(ctx context.Context, user string, until int64, fn func(map[string]indexEntry) bool) error {
	key := userIndexKey(user)
	for attempt := range maxAttempts {
		pause(attempt)
		now := m.now()
		u, err := m.loadIndex(ctx, user, now)
		if err != nil {
			return err
		}
		if !fn(u.entries) {
			return nil
		}
		maps.DeleteFunc(u.entries, func(_ string, e indexEntry) bool { return e.until <= now })
		r := u.record
		r.Revision++
		r.Codec = m.settings.Codec.ID()
		r.Saved = now
		r.Expires = max(r.Expires, until)
		if len(u.entries) == 0 {
			r.Expires = 1
		}
		var o overlay
		for _, handle := range slices.Sorted(maps.Keys(u.entries)) {
			o.changes = append(o.changes, change{key: handle, value: u.entries[handle].encode()})
		}
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
