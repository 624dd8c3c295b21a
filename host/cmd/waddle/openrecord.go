package main

import (
	"context"
	"errors"
	"slices"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// recordOpener returns a function that opens a sealed record as a server with these
// settings would.
func recordOpener(env *environment) (func(store.Record) error, error) {
	settings, err := session.FromEnv(env.variables)
	if err != nil {
		return nil, &usageError{err}
	}
	if settings.Keyring == nil {
		return nil, usagef("--open needs the secrets that seal the sessions: set WADDLE_SECRET or WADDLE_SECRET_FILE")
	}
	// The manager opens seals for whoever reads records from it.
	one := &oneRecord{}
	var opened store.Store
	settings.Records = func(s store.Store) (session.RecordStore, error) {
		opened = s
		return noRecords{}, nil
	}
	if _, err := session.New(one, settings); err != nil {
		return nil, &usageError{err}
	}
	return func(r store.Record) error {
		one.record = r
		_, err := opened.Get(context.Background(), r.Key, 1)
		return err
	}, nil
}

// oneRecord is a store that has one record at a time.
type oneRecord struct{ record store.Record }

func (o *oneRecord) Get(context.Context, []byte, store.Millis) ([]byte, error) {
	return slices.Clone(o.record.Value), nil
}

var errReadOnly = errors.New("nothing is written here")

func (*oneRecord) Set(context.Context, store.Write) error             { return errReadOnly }
func (*oneRecord) Delete(context.Context, []byte, store.Millis) error { return errReadOnly }

// noRecords is never asked for any.
type noRecords struct{}

func (noRecords) Load(context.Context, []byte, store.Millis) (session.Record, error) {
	return session.Record{}, store.ErrNotFound
}

func (noRecords) Store(context.Context, []byte, *session.Record, int64, store.Millis) error {
	return errReadOnly
}

func (noRecords) Delete(context.Context, []byte, store.Millis) error { return errReadOnly }
