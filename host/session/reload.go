package session

import (
	"context"
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

// Reload looks at the session again: later reads return what is stored now. It is
// for long requests, such as a stream or a WebSocket, since a request otherwise
// sees the session as it was at its first look. Unsaved changes of this request
// stay, on top of what is newer.
//
// It counts as a look, and what a look changes, such as the end by IdleTimeout,
// is stored at once. It returns ErrGone if another request ended the session,
// and ErrRenewed if one renewed it; the session is then empty, and unsaved
// changes are dropped. After a timed renewal of the id (Settings.RenewEvery) it
// goes on under the new one, provided that the request looked, or saved
// something, within the last hour, or within sixty-four times RenewEvery if
// that is less.
func (s *Session) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries.begin()
	defer s.tries.end()
	before := s.loaded
	if err := s.load(s.ctx); err != nil {
		return err
	}
	if !before || !s.exists {
		return s.ended
	}
	switch err := s.refetch(s.ctx); {
	case errors.Is(err, ErrGone):
		if s.modified() {
			return s.gone(err)
		}
		s.lose(err)
		return err
	case err != nil:
		s.storageFailed(err)
		return err
	}
	s.commitRefresh()
	return nil
}

// Alive asks the storage whether the session is still there, under the id that it
// has by now, so that long requests notice a log-out. It is not a look: it
// extends nothing, and what the request reads and has changed stays as it is. It
// is false for a session that is not stored.
func (s *Session) Alive() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries.begin()
	defer s.tries.end()
	before := s.loaded
	if err := s.peek(s.ctx); err != nil {
		return false, err
	}
	if !before || !s.exists {
		return s.exists, nil
	}
	var newest Record
	id, key, err := s.find(s.ctx, s.id, s.manager.now(), &newest, true)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, ErrGone):
		return false, nil
	case err != nil:
		s.storageFailed(err)
		return false, err
	}
	s.follow(id, key)
	return true, nil
}

// refetch gets the stored session of one that was loaded before. It returns
// ErrGone if it is no longer there.
func (s *Session) refetch(ctx context.Context) error {
	id, key, err := s.find(ctx, s.id, s.manager.now(), &s.record, true)
	if errors.Is(err, store.ErrNotFound) {
		return ErrGone
	}
	if err != nil {
		return err
	}
	s.stale = false
	s.follow(id, key)
	return nil
}

// follow goes on under the id that the session has by now. A record known under
// another is stale: its revision differs from that of the newer one, so no commit
// takes it for what is stored.
func (s *Session) follow(id string, key storageKey) {
	s.resend = s.resend || id != s.id
	s.id, s.key = id, key
}
