package session

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// store writes the record over the one it was made from or, for a new id, beside
// it.
func (s *Session) store(t *attempt, now store.Millis) error {
	defer func() { t.next.fresh = false }()
	records, ctx := &s.manager.records, s.saving()
	if !t.fresh {
		return records.Store(ctx, t.key[:], &t.next, t.expect, now)
	}
	// The new record is there before the old one goes, so that a crash in between loses
	// nobody. The old one goes only if it is still what the new one was made from:
	// otherwise a change made meanwhile would be lost.
	if err := s.create(t, now); err != nil || !s.exists {
		return err
	}
	err := records.Store(ctx, s.key[:], t.left, t.expect, now)
	if err != nil && !errors.Is(err, store.ErrConflict) {
		left, known := s.isLeft(t, now)
		if left {
			// The answer got lost, or the record is there but not durable, so that a
			// power loss would bring the old one back. It is written once more.
			err = records.Store(ctx, s.key[:], t.left, int64(t.left.Revision), now)
			if err == nil || errors.Is(err, store.ErrConflict) {
				return nil
			}
			known = false
		}
		switch {
		case !known && t.left.State == RecordMoved:
			return err // the client has the old id, which may lead to the new one
		case !known:
			// The client must get the new id: there may be nothing left under the old
			// one. endRest does the rest.
			t.half = true
			return fmt.Errorf("session: the session has its new id, but it is not known whether the old one is gone: %w", err)
		}
	}
	if err != nil {
		// Nobody knows the new id yet. If this fails too, what is left of it expires
		// unseen.
		_ = records.Delete(ctx, t.key[:], now)
	}
	return err
}

// isLeft reports whether the record to be left under the old id is there by now,
// if that can be known.
func (s *Session) isLeft(t *attempt, now store.Millis) (left, known bool) {
	r, err := s.manager.records.Load(s.saving(), s.key[:], now)
	if err != nil {
		// If there is nothing, a timed renewal has nothing to go on with, and a renewal
		// nothing to fear.
		return false, errors.Is(err, store.ErrNotFound) && t.left.State == RecordMoved
	}
	return r.State == t.left.State && bytes.Equal(r.Values.Bytes(), t.left.Values.Bytes()), true
}

// create writes a record under a new key. Only the end of the session that is
// being stored can be there already, see Manager.Revoke, and that is a conflict.
func (s *Session) create(t *attempt, now store.Millis) error {
	records, ctx := &s.manager.records, s.saving()
	err := records.Store(ctx, t.key[:], &t.next, store.Absent, now)
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrConflict) && s.seldom.takenID() == t.id {
		return err // another request took over the same old session
	}
	if !errors.Is(err, store.ErrConflict) {
		// It may be there all the same, even in a user's list, and nobody has it.
		_ = records.Delete(ctx, t.key[:], now)
		return err
	}
	if r, errLoad := records.Load(ctx, t.key[:], now); errLoad == nil && r.State != RecordEnded {
		return fmt.Errorf("%w: a fresh id is in use; is the source of random bits broken?", store.ErrInternal)
	}
	return err
}
