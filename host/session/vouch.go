package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// vouched reports whether a session that was just read counts. One that is bound
// to a user does as long as the list of the user's sessions has it under the key
// at hand. Ending sessions rests on that: if the list only helped to find
// sessions, an engine that evicted it would make them unendable.
//
// A session that is not listed is removed, which also proves that it was not
// renewed between the two reads. If it was, vouched returns false without an
// error, and the session must be read again.
func (s *Session) vouched(ctx context.Context, r *Record, now store.Millis) (listed bool, err error) {
	if r.State != RecordSession {
		return true, nil
	}
	user, publicID, ok := boundTo(r.Values)
	if !ok {
		return true, nil
	}
	m, key := s.manager, s.key
	s.key = m.userIndexKey(string(user)) // during the call, as in find
	list, err := m.records.Load(ctx, s.key[:], unjudged)
	s.key = key
	var block indexBlock
	if err == nil {
		block, err = indexBlockOf(&list)
	}
	switch {
	case err == nil && block.has(publicID, &s.key):
		return true, nil
	case err == nil:
		return false, s.removeUnlisted(r, errNotInList, now)
	case errors.Is(err, store.ErrNotFound):
		return false, s.removeUnlisted(r, errNoList, now)
	case isCorrupt(err):
		// The record stays: a program with the right secret may read the list.
		m.event(s.ctx, Event{Kind: EventCorrupt, Session: key.label(), Err: fmt.Errorf("the list of a user's sessions: %w", err)})
		return false, store.ErrNotFound
	}
	return false, err
}

// Why a session is not vouched for.
var (
	errNoList    = errors.New("session: the storage does not have the list of its user's sessions, which was evicted or lost: all sessions of the user have ended")
	errNotInList = errors.New("session: it is not in the list of its user's sessions: the storage lost that list, or lost the record that said that the session had ended")
)

// removeUnlisted removes the session that was read as r. It returns nil if that
// is no longer there as it was.
func (s *Session) removeUnlisted(r *Record, why error, now store.Millis) error {
	gone := Record{Revision: r.Revision + 1, Codec: r.Codec, Expires: 1}
	err := s.manager.records.Store(s.saving(), s.key[:], &gone, int64(r.Revision), now)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	s.manager.event(s.ctx, Event{Kind: EventUnlisted, Session: s.key.label(), User: s.manager.boundLabel(r.Values), Err: why})
	return store.ErrNotFound
}
