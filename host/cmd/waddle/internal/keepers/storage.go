package keepers

import (
	"context"
	"errors"
	"iter"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Storage is a storage that this process has opened.
type Storage struct {
	// Read, if not nil, is called with how many sessions were read since the last call.
	Read func(n int64)

	store   store.Store
	manager *session.Manager
}

var _ Keeper = (*Storage)(nil)

// NewStorage returns the keeper of a store. Closing it closes the store. It uses the
// namespace, the keyring and the absolute timeout of the settings, and reads both codecs.
func NewStorage(s store.Store, settings session.Settings) (*Storage, error) {
	settings.Codec, settings.ReadCodecs = session.CBOR, []session.Codec{session.JSON}
	m, err := session.New(s, settings)
	if err != nil {
		return nil, err
	}
	return &Storage{store: s, manager: m}, nil
}

// Count implements [Keeper].
func (s *Storage) Count(ctx context.Context) (n int64, err error) {
	for _, err := range s.manager.AllSessions(ctx) {
		if err != nil {
			return n, err
		}
		s.read()
		n++
	}
	return n, nil
}

// List implements [Keeper].
func (s *Storage) List(ctx context.Context, user string, limit int) (list []Session, more bool, err error) {
	for info, err := range Infos(ctx, s.manager, user) {
		if err != nil {
			return nil, false, err
		}
		if limit > 0 && len(list) == limit {
			return list, true, nil
		}
		s.read()
		list = append(list, SessionOf(info))
	}
	return list, false, nil
}

func (s *Storage) read() {
	if s.Read != nil {
		s.Read(1)
	}
}

// Infos lists the sessions of a user, or all if the user is empty.
func Infos(ctx context.Context, m *session.Manager, user string) iter.Seq2[session.SessionInfo, error] {
	if user == "" {
		return m.AllSessions(ctx)
	}
	return func(yield func(session.SessionInfo, error) bool) {
		infos, err := m.UserSessionInfos(ctx, user)
		if err != nil {
			yield(session.SessionInfo{}, err)
			return
		}
		for _, info := range infos {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// SessionOf returns a session in the form of this package.
func SessionOf(info session.SessionInfo) Session {
	return Session{info.Handle, info.User, info.PublicID, info.Created.UTC(), info.LastSeen.UTC(), info.Expires.UTC(), info.Size}
}

// Show implements [Keeper].
func (s *Storage) Show(ctx context.Context, handle string) (Detail, error) {
	d, err := s.manager.SessionByHandle(ctx, handle)
	if err != nil {
		return Detail{}, known(err)
	}
	return DetailOf(d), nil
}

// DetailOf returns a detail in the form of this package.
func DetailOf(d session.SessionDetail) Detail {
	out := Detail{
		Session: SessionOf(d.SessionInfo), Revision: d.Revision, Issued: d.Issued.UTC(), Note: d.Note,
		Persistence: persistences[d.Persistence], Values: d.Values, Unreadable: d.Unreadable,
	}
	if !d.LoggedIn.IsZero() {
		out.LoggedIn = d.LoggedIn.UTC()
	}
	return out
}

var persistences = map[session.Persistence]string{session.PersistenceDefault: "default", session.EndWithBrowser: "browser", session.Persist: "persist"}

// End implements [Keeper].
func (s *Storage) End(ctx context.Context, handle string) (bool, error) {
	ended, err := s.manager.RevokeHandle(ctx, handle)
	return ended, known(err)
}

// EndUser implements [Keeper].
func (s *Storage) EndUser(ctx context.Context, user string) (int, error) {
	return s.manager.RevokeAll(ctx, user)
}

// Close implements [Keeper]: what was ended is saved first.
func (s *Storage) Close() error { return store.Close(context.Background(), s.store) }

func known(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ErrNone
	case errors.Is(err, session.ErrRenewed):
		return ErrMoved
	}
	return err
}
