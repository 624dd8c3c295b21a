package session

import (
	"context"
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

// load fetches the stored session for a caller that reads its content.
func (s *Session) load(ctx context.Context) error {
	if err := s.mayLook(); err != nil {
		return err
	}
	return s.loadUnseen(ctx)
}

// loadUnseen is load for a change that tells nobody what the session was.
func (s *Session) loadUnseen(ctx context.Context) error {
	s.used = true
	return s.fetchOnce(ctx)
}

// peek is load for a caller that asks how long the session lives.
func (s *Session) peek(ctx context.Context) error {
	if err := s.mayLook(); err != nil {
		return err
	}
	return s.fetchOnce(ctx)
}

// fetchOnce fetches the stored session unless that was done before. It holds the
// session's own lock meanwhile, so goroutines of one request that ask at the same
// time share one fetch.
func (s *Session) fetchOnce(ctx context.Context) error {
	s.touched = true
	if s.loaded {
		return nil
	}
	s.tries.begin()
	defer s.tries.end()
	now := s.manager.now()
	var ended error
	for _, id := range s.clientIDs() {
		current, key, err := s.find(ctx, id, now, &s.record, false)
		switch {
		case err == nil:
			s.id, s.key, s.exists, s.loaded = current, key, true, true
			s.resend = current != id
			return nil
		case errors.Is(err, ErrGone):
			s.endedID = current
			ended = err
		case errors.Is(err, store.ErrNotFound):
		default:
			s.storageFailed(err)
			return err
		}
	}
	if s.seldom.oldSession() != nil && ended == nil && s.transport == TransportCookie {
		var err error
		if ended, err = s.takeOver(ctx, now); err != nil {
			s.storageFailed(err)
			return err
		}
	}
	s.loaded, s.ended = true, ended
	s.dead = len(s.ids) > 0 && ended == nil && !s.unsure
	return nil
}

// find gets the session of an id into r, and returns the id that it has by now
// if its id was renewed by age. If there is none, r stays as it was. If another
// request ended the session, it returns ErrGone or ErrRenewed, and the last id.
// It does so, and follows renewed ids, for clients only within the grace, and
// for a session that was loaded before as long as the storage knows.
func (s *Session) find(ctx context.Context, id string, now store.Millis, r *Record, loaded bool) (current string, key storageKey, err error) {
	// The key lies within the session meanwhile: what engines are given escapes, and a
	// load must allocate nothing for it.
	kept := s.key
	defer func() { s.key = kept }()
	moves := maxMoves
	if loaded {
		moves = maxLeads + maxMoves
	}
	for range moves {
		s.key = s.manager.keyOf(id)
		var record Record
		if err := s.fetch(ctx, now, &record); err != nil {
			return "", key, err
		}
		switch {
		case record.State == RecordSession:
			*r = record
			return id, s.key, nil
		case !loaded && !s.withinGrace(&record, now):
			s.unsure = true // as long as the record is there: its cookie may have been replaced
			if record.State == RecordEnded {
				s.endedID = id
			}
			return "", key, store.ErrNotFound
		case record.State == RecordEnded:
			return id, s.key, record.endedBy()
		}
		if id, err = movedTo(id, &record); err != nil {
			s.manager.event(s.ctx, Event{Kind: EventCorrupt, Session: s.key.label(), Err: err})
			break
		}
	}
	s.unsure = true
	return "", key, store.ErrNotFound
}
