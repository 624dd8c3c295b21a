package session_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// table is an application's RecordStore. It keeps records as they are, in its
// own map.
type table struct {
	mu      sync.Mutex
	rows    map[string]session.Record
	zeroRev bool // as a form without revisions would
}

func (e *table) Load(_ context.Context, key []byte, now store.Millis) (session.Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.rows[string(key)]
	if !ok || now >= r.Expires {
		return session.Record{}, store.ErrNotFound
	}
	if e.zeroRev {
		r.Revision = 0
	}
	return r, nil
}

func (e *table) Store(_ context.Context, key []byte, r *session.Record, expect int64, now store.Millis) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.rows[string(key)]
	ok = ok && now < old.Expires
	if expect == store.Absent && ok || expect > 0 && (!ok || old.Revision != uint64(expect)) {
		return store.ErrConflict
	}
	if r.Expires <= now {
		delete(e.rows, string(key))
		return nil
	}
	// A RecordStore stores the parts and rebuilds the record from them.
	values, err := session.ParseValues(bytes.Clone(r.Values.Bytes()))
	if err != nil {
		return err
	}
	e.rows[string(key)] = session.Record{
		Revision: r.Revision, Codec: r.Codec, Created: r.Created, Saved: r.Saved, LastSeen: r.LastSeen, Issued: r.Issued, Expires: r.Expires,
		CookieUntil: r.CookieUntil, Lifetime: r.Lifetime, Fixed: r.Fixed, Persistence: r.Persistence,
		Transport: r.Transport, State: r.State, Held: r.Held, Values: values,
	}
	return nil
}

func (e *table) Delete(_ context.Context, key []byte, _ store.Millis) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.rows, string(key))
	return nil
}

func TestRecordsOfAnApplication(t *testing.T) {
	e := &table{rows: make(map[string]session.Record)}
	var given store.Store
	a := newApp(t, store.NewMemory(), func(s *session.Settings) {
		s.Records = func(s store.Store) (session.RecordStore, error) { given = s; return e, nil }
	})
	require.Same(t, a.sessions.Store, given)
	b := a.browser()
	b.set("user", "ada")
	b.do(func(s *session.Session) {
		require.NoError(t, s.Renew())
		require.NoError(t, s.SetExpiry(hour))
		require.NoError(t, s.Set("n", 1))
	})
	require.Equal(t, map[string]any{"user": "ada", "n": int64(1)}, b.values())
	require.Len(t, e.rows, 2, "the session, and what is left of its first id")
	r := e.rows[storageKeyOf(b.id())]
	require.Equal(t, store.At(at(hour)), r.Expires)
	require.Equal(t, store.Span(hour), r.Lifetime)
	require.Equal(t, session.CBOR.ID(), r.Codec)
	require.Len(t, maps.Collect(r.Values.All()), 2)
	require.Empty(t, a.store.take(), "the store is the engine's to use or not")
	b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
	for _, r := range e.rows {
		require.Equal(t, session.RecordEnded, r.State)
	}

	t.Run("that gives records without a revision is found out", func(t *testing.T) {
		e.zeroRev = true
		id := a.login("ada")
		a.kinds()
		require.Empty(t, a.peek(id), "a change could not be told from that of another request")
		require.Equal(t, []session.EventKind{session.EventCorrupt}, a.kinds())
	})
}

func TestRecordsThatCannotBeOpened(t *testing.T) {
	_, err := session.New(store.NewMemory(), session.Settings{Records: func(store.Store) (session.RecordStore, error) { return nil, errFault }})
	require.ErrorIs(t, err, errFault)
	_, err = session.New(store.NewMemory(), session.Settings{Records: func(store.Store) (session.RecordStore, error) { return nil, nil }})
	require.ErrorIs(t, err, session.ErrSettings)
	require.ErrorContains(t, err, "Records is a function that returned nil: must return a RecordStore or an error")
}

// TestRecordsNamed: the environment chooses among the program's forms, and the
// error for a wrong choice names them.
func TestRecordsNamed(t *testing.T) {
	e := &table{rows: make(map[string]session.Record)}
	open := func(store.Store) (session.RecordStore, error) { return e, nil }
	never := func(store.Store) (session.RecordStore, error) { return nil, errFault }
	options := []session.EnvOption{session.RecordsNamed("other", never), session.RecordsNamed("table", open)}

	s, err := session.FromEnv([]string{"SESSION_ENGINE= table "}, options...)
	require.NoError(t, err)
	m, err := session.New(store.NewMemory(), s)
	require.NoError(t, err)
	begun := m.Session(context.Background(), "")
	require.NoError(t, begun.Set("user", "ada"))
	require.NoError(t, begun.Save())
	require.Len(t, e.rows, 1)

	for _, env := range [][]string{nil, {"SESSION_ENGINE="}, {"SESSION_ENGINE=records"}} {
		s, err := session.FromEnv(env, options...)
		require.NoError(t, err)
		require.Nil(t, s.Records)
	}
	_, err = session.FromEnv([]string{"SESSION_ENGINE=tabel"}, options...)
	require.ErrorIs(t, err, session.ErrSettings)
	require.ErrorContains(t, err, `SESSION_ENGINE is "tabel": must be one of those that this program has: records, other, table`)

	for _, wrong := range [][]session.EnvOption{
		{session.RecordsNamed("", open)}, {session.RecordsNamed("a ", open)}, {session.RecordsNamed("a", nil)},
		{session.RecordsNamed("records", open)}, {session.RecordsNamed("a", open), session.RecordsNamed("a", open)},
	} {
		_, err := session.FromEnv(nil, wrong...)
		require.ErrorIs(t, err, session.ErrSettings)
		require.ErrorContains(t, err, "RecordsNamed")
	}
}

// counted is a RecordStore that counts calls.
type counted struct {
	session.RecordStore
	loads, stores int
}

func (e *counted) Load(ctx context.Context, key []byte, now store.Millis) (session.Record, error) {
	e.loads++
	return e.RecordStore.Load(ctx, key, now)
}

func (e *counted) Store(ctx context.Context, key []byte, r *session.Record, expect int64, now store.Millis) error {
	e.stores++
	return e.RecordStore.Store(ctx, key, r, expect, now)
}

// An application keeps its sessions in its own form, here simply counted, if
// SESSION_ENGINE says so.
func ExampleRecordsNamed() {
	count := &counted{RecordStore: &table{rows: make(map[string]session.Record)}}
	settings, err := session.FromEnv([]string{"SESSION_ENGINE=counted"}, // in a program: os.Environ()
		session.RecordsNamed("counted", func(store.Store) (session.RecordStore, error) { return count, nil }))
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := session.New(store.NewMemory(), settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := m.Session(context.Background(), "")
	fmt.Println(s.Set("user", "ada"), s.Save())
	id, _ := s.ID()
	var user string
	ok, err := m.Session(context.Background(), id).Get("user", &user)
	fmt.Println(user, ok, err)
	fmt.Println(count.loads, count.stores)
	// Output:
	// <nil> <nil>
	// ada true <nil>
	// 1 1
}
