package session_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// table is an engine of an application: it keeps records as they are, in a map
// of its own.
type table struct {
	mu      sync.Mutex
	rows    map[string]session.Record
	zeroRev bool // as an engine that knows of no revisions would
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
	// An engine writes the parts down and makes the record of them again.
	values, err := session.ParseValues(bytes.Clone(r.Values.Bytes()))
	if err != nil {
		return err
	}
	e.rows[string(key)] = session.Record{
		Revision: r.Revision, Codec: r.Codec, Created: r.Created, Saved: r.Saved, Seen: r.Seen, Issued: r.Issued, Expires: r.Expires,
		CookieUntil: r.CookieUntil, Lifetime: r.Lifetime, Fixed: r.Fixed, Browser: r.Browser,
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

func TestEngineOfAnApplication(t *testing.T) {
	e := &table{rows: make(map[string]session.Record)}
	var given store.Store
	session.RegisterEngine("test table", func(s store.Store) (session.Engine, error) { given = s; return e, nil })
	a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.Engine = "test table" })
	require.Same(t, a.store, given)
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
	require.Equal(t, store.At(a.clock.at(hour)), r.Expires)
	require.Equal(t, store.Span(hour), r.Lifetime)
	require.Equal(t, session.CBOR.ID(), r.Codec)
	require.Equal(t, 2, r.Values.Len())
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

func TestRegisterEngineRefuses(t *testing.T) {
	open := func(store.Store) (session.Engine, error) { return nil, errFault }
	require.Panics(t, func() { session.RegisterEngine("", open) })
	require.Panics(t, func() { session.RegisterEngine("x", nil) })
	require.Panics(t, func() { session.RegisterEngine(session.EngineRecords, open) })
	session.RegisterEngine("test failing", open)
	s := session.Defaults()
	s.Engine = "test failing"
	_, err := session.New(store.NewMemory(), s)
	require.ErrorIs(t, err, errFault)
	require.ErrorContains(t, err, "test failing")
}

// counted is an engine that counts what it is asked.
type counted struct {
	session.Engine
	loads, stores int
}

func (e *counted) Load(ctx context.Context, key []byte, now store.Millis) (session.Record, error) {
	e.loads++
	return e.Engine.Load(ctx, key, now)
}

func (e *counted) Store(ctx context.Context, key []byte, r *session.Record, expect int64, now store.Millis) error {
	e.stores++
	return e.Engine.Store(ctx, key, r, expect, now)
}

// An application keeps its sessions in a form of its own, here simply counted.
func ExampleRegisterEngine() {
	count := &counted{Engine: &table{rows: make(map[string]session.Record)}}
	session.RegisterEngine("example counted", func(store.Store) (session.Engine, error) { return count, nil })

	settings := session.Defaults()
	settings.Engine = "example counted"
	m, err := session.New(store.NewMemory(), settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := m.Open(context.Background(), "")
	fmt.Println(s.Set("user", "ada"), s.Save())
	id, _ := s.ID()
	var user string
	ok, err := m.Open(context.Background(), id).Get("user", &user)
	fmt.Println(user, ok, err)
	fmt.Println(count.loads, count.stores)
	// Output:
	// <nil> <nil>
	// ada true <nil>
	// 1 1
}
