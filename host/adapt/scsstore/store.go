// Package scsstore keeps the sessions of github.com/alexedwards/scs in any
// [store.Store]: a bundled engine, a plugin of your own, the native store.
//
//	manager := scs.New()
//	manager.Store, err = scsstore.New(engine, scsstore.Settings{})
//
// The store learns a hash of each token, so nobody can make a cookie from its records. A session that was destroyed, or whose token was renewed, stays so: see
// [ErrEnded].
//
// [TakeOver] lets a server with a [session.Manager] go on with the sessions that scs
// left behind.
package scsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/waddle-sessions/waddle/host/adapt/internal/records"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// ErrEnded is returned when a request commits a session that another request
// destroyed or gave another token in the last hour. Nothing is stored, and scs
// sends no cookie but calls its ErrorFunc.
var ErrEnded = fmt.Errorf("scsstore: %w", records.ErrEnded)

// Settings say how sessions are kept. The zero value of each is its default.
type Settings struct {
	// Namespace keeps applications apart that share a store. It has up to
	// [session.MaxNamespace] bytes and no NUL.
	Namespace string

	// Keyring seals sessions before they reach the store, and keeps their tokens,
	// sealed, for All and SessionManager.Iterate. nil leaves sessions readable to the
	// store.
	Keyring *session.Keyring

	// ReadUnsealedUntil is the time until which sessions that are not sealed are read
	// as well, so that a Keyring can be set without logging anybody out. Until they are
	// written anew, All does not list them.
	ReadUnsealedUntil time.Time

	// MaxSize bounds the encoded session, in bytes; default 1 MiB. A larger one is
	// [session.ErrTooLarge].
	MaxSize int

	// Timeout bounds one call of the store; default 10 seconds, [session.Off] for none.
	// The context of a call bounds it as well.
	Timeout time.Duration

	// OnCorrupt is told of a session that the store has and that cannot be read, as
	// after a change of the Keyring. It counts as absent. nil logs it.
	OnCorrupt func(ctx context.Context, err error)

	// Now is the clock, for tests; default time.Now. scs itself has no such setting.
	Now func() time.Time
}

// Store is a store of scs. It may be used by many goroutines. It does not own the
// store beneath it: close that after the server.
type Store struct{ records *records.Records }

var (
	_ scs.Store            = (*Store)(nil)
	_ scs.CtxStore         = (*Store)(nil)
	_ scs.IterableStore    = (*Store)(nil)
	_ scs.IterableCtxStore = (*Store)(nil)
)

// New returns a store for SessionManager.Store. It returns [session.ErrSettings]
// for settings that cannot work.
func New(s store.Store, settings Settings) (*Store, error) {
	kept, err := records.New(s, records.Settings{
		Kind: "scs", Namespace: settings.Namespace,
		Keyring: settings.Keyring, ReadUnsealedUntil: settings.ReadUnsealedUntil, KeepTokens: settings.Keyring != nil,
		MaxSize: settings.MaxSize, Timeout: settings.Timeout, OnCorrupt: settings.OnCorrupt, Now: settings.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("scsstore: %w", err)
	}
	return &Store{kept}, nil
}

// FindCtx returns the data of a session, and false if there is none. It returns an
// error only if the store does not answer.
func (s *Store) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	r, err := s.records.Load(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("scsstore: %w", err)
	}
	return r.Data, true, nil
}

// CommitCtx stores the data of a session until a time, to the millisecond, in place
// of what was there. A time that has passed removes the session. It returns
// ErrEnded for a session that was ended, [session.ErrTooLarge] for one above
// MaxSize, and errors of the store.
func (s *Store) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	switch err := s.records.Put(ctx, token, b, expiry); {
	case errors.Is(err, records.ErrEnded):
		return ErrEnded
	case err != nil:
		return fmt.Errorf("scsstore: %w", err)
	}
	return nil
}

// DeleteCtx ends a session: nothing is stored under its token for an hour. It is
// not an error if there is none.
func (s *Store) DeleteCtx(ctx context.Context, token string) error {
	if err := s.records.End(ctx, token); err != nil {
		return fmt.Errorf("scsstore: %w", err)
	}
	return nil
}

// AllCtx returns the data of all sessions by their tokens. It reads each record, and
// holds all of them in memory. It returns [store.ErrUnsupported] without a Keyring,
// since the store then has no tokens, and if the store cannot enumerate.
func (s *Store) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all := make(map[string][]byte)
	for r, err := range s.records.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("scsstore: %w", err)
		}
		all[r.Token] = r.Data
	}
	return all, nil
}

// Find is FindCtx without a context.
func (s *Store) Find(token string) (b []byte, found bool, err error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Store) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx without a context.
func (s *Store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// All is AllCtx without a context.
func (s *Store) All() (map[string][]byte, error) { return s.AllCtx(context.Background()) }
