package session_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// stores are the stores that every behaviour test runs over.
var stores = []struct {
	name string
	open func(t *testing.T) store.Store
}{
	{"native", func(*testing.T) store.Store { return store.NewMemory() }},
	{"memory engine", memoryEngine},
}

// engine is started once, since starting takes longer than a test, and cleared
// for each test.
var engine = sync.OnceValues(func() (p *plugin.Plugin, err error) {
	running, err = memory.Open(context.Background(), plugin.Config{
		Shards: 2, MemoryLimit: 256 << 20, Logger: slog.New(slog.DiscardHandler),
		SweepInterval: -1, // by the real clock, everything in these tests has expired
	})
	return running, err
})

var running *plugin.Plugin // nil until a test asks for it

func memoryEngine(t *testing.T) store.Store {
	t.Helper()
	p, err := engine()
	require.NoError(t, err)
	require.NoError(t, p.Clear(context.Background(), clockStart))
	return leftOpen{p}
}

// leftOpen is an engine that the next test also uses.
type leftOpen struct{ *plugin.Plugin }

func (leftOpen) Close(context.Context) error { return nil }

func TestMain(m *testing.M) {
	code := backend.Main(m)
	for _, p := range redisPlugins.all {
		_ = p.Close(context.Background()) // its server has ended
	}
	if running != nil {
		if err := running.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// overStores runs a test once for each store.
func overStores(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Helper()
	for _, c := range stores {
		t.Run(c.name, func(t *testing.T) {
			s := c.open(t)
			t.Cleanup(func() { require.NoError(t, store.Close(context.Background(), s)) })
			f(t, s)
		})
	}
}

// operation is one call of a store, as the store saw it.
type operation struct {
	name            string
	key, value      []byte
	expires, expect int64
}

// spy is a store that records its calls and fails on request: before the
// operation, or after it but before the answer.
type spy struct {
	store.Store

	mu      sync.Mutex
	log     []operation
	expires map[string]int64 // the latest by key
	before  func(operation) error
	after   func(operation) error
}

func (s *spy) do(o operation, f func() error) error {
	o.key = append([]byte(nil), o.key...)
	o.value = append([]byte(nil), o.value...)
	s.mu.Lock()
	s.log = append(s.log, o)
	if o.name == "set" {
		if s.expires == nil {
			s.expires = make(map[string]int64)
		}
		s.expires[string(o.key)] = o.expires
	}
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before(o); err != nil {
			return err
		}
	}
	err := f()
	if after != nil && err == nil {
		err = after(o)
	}
	return err
}

func (s *spy) Get(ctx context.Context, key []byte, now store.Millis) (value []byte, err error) {
	err = s.do(operation{name: "get", key: key}, func() error {
		value, err = s.Store.Get(ctx, key, now)
		return err
	})
	return value, err
}

func (s *spy) Set(ctx context.Context, w store.Write) error {
	o := operation{name: "set", key: w.Key, value: w.Value, expires: int64(w.Expires), expect: w.Expect}
	return s.do(o, func() error { return s.Store.Set(ctx, w) })
}

func (s *spy) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	o := operation{name: "touch", key: key, expires: int64(expires)}
	return s.do(o, func() error { return store.Touch(ctx, s.Store, key, expires, now) })
}

func (s *spy) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return s.do(operation{name: "delete", key: key}, func() error { return s.Store.Delete(ctx, key, now) })
}

func (s *spy) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return store.Keys(ctx, s.Store, now)
}

// fail sets the faults; nil is none.
func (s *spy) fail(before, after func(operation) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

// take returns the operations since the last call of take.
func (s *spy) take() []operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

// names lists the names of operations. Tests use it to say what a request cost.
func names(log []operation) []string {
	list := []string{}
	for _, o := range log {
		list = append(list, o.name)
	}
	return list
}
