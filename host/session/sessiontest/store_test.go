package sessiontest_test

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// operations calls each operation and returns its error.
var operations = map[sessiontest.Op]func(context.Context, *sessiontest.Store) error{
	sessiontest.Get: func(ctx context.Context, s *sessiontest.Store) error {
		_, err := s.Get(ctx, []byte("key"), 1)
		return err
	},
	sessiontest.Set: func(ctx context.Context, s *sessiontest.Store) error {
		return s.Set(ctx, store.Write{Key: []byte("key"), Value: []byte("revision"), Now: 1})
	},
	sessiontest.Touch:  func(ctx context.Context, s *sessiontest.Store) error { return s.Touch(ctx, []byte("key"), 9, 1) },
	sessiontest.Delete: func(ctx context.Context, s *sessiontest.Store) error { return s.Delete(ctx, []byte("gone"), 1) },
	sessiontest.Clear:  func(ctx context.Context, s *sessiontest.Store) error { return s.Clear(ctx, 1) },
	sessiontest.Save:   func(ctx context.Context, s *sessiontest.Store) error { return s.Save(ctx, 1) },
	sessiontest.Sweep: func(ctx context.Context, s *sessiontest.Store) error {
		_, err := s.Sweep(ctx, 10, 1)
		return err
	},
	sessiontest.Keys: func(ctx context.Context, s *sessiontest.Store) (err error) {
		for _, err = range s.Keys(ctx, 1) {
		}
		return err
	},
	sessiontest.Snapshot: func(ctx context.Context, s *sessiontest.Store) (err error) {
		for _, err = range s.Snapshot(ctx, 1) {
		}
		return err
	},
	sessiontest.Restore: func(ctx context.Context, s *sessiontest.Store) error {
		return s.Restore(ctx, func(yield func(store.Record, error) bool) {
			yield(store.Record{Key: []byte("restored"), Value: []byte("revision")}, nil)
		}, 1)
	},
}

// No operation of a store is left out: neither here nor by what counts and fails.
func TestOps(t *testing.T) {
	all := slices.Collect(maps.Keys(operations))
	require.ElementsMatch(t, store.Ops(), append(all, sessiontest.Close))
}

func filled(t *testing.T) *sessiontest.Store {
	t.Helper()
	s := sessiontest.NewStore(store.NewMemory())
	require.NoError(t, operations[sessiontest.Set](context.Background(), s))
	return s
}

func TestFaultsOfEachOperation(t *testing.T) {
	ctx := context.Background()
	fault := errors.New("a fault for tests")
	for op := range operations {
		t.Run(string(op), func(t *testing.T) {
			s := filled(t)
			require.NoError(t, operations[op](ctx, s))

			s = filled(t)
			s.Fail(fault, op)
			require.ErrorIs(t, operations[op](ctx, s), fault)
			for other := range operations {
				if other != op {
					one := filled(t)
					one.Fail(fault, op)
					require.NoError(t, operations[other](ctx, one), other)
				}
			}
			s.Fail(nil, op)
			require.NoError(t, operations[op](ctx, s))

			all := filled(t)
			all.Fail(fault)
			require.ErrorIs(t, operations[op](ctx, all), fault)
			all.Fail(nil, op)
			require.NoError(t, operations[op](ctx, all), "one that was named goes by its own error")
			all.Fail(fault, op)
			all.Fail(nil)
			require.NoError(t, operations[sessiontest.Set](ctx, all))
			require.NoError(t, operations[op](ctx, all), "all are meant")
		})
	}
}

// An operation that fails has no effect, and one whose context is over fails
// with that.
func TestFaultsHaveNoEffect(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := filled(t)
	s.Fail(store.ErrUnavailable)
	require.ErrorIs(t, s.Clear(ctx, 1), store.ErrUnavailable)
	require.ErrorIs(t, s.Delete(ctx, []byte("key"), 1), store.ErrUnavailable)
	s.Fail(nil)
	_, err := s.Get(ctx, []byte("key"), 1)
	require.NoError(t, err)
	cancel()
	s.Fail(store.ErrUnavailable)
	require.ErrorIs(t, s.Delete(ctx, []byte("key"), 1), context.Canceled)
}

// Close closes in any case.
func TestFaultOfClose(t *testing.T) {
	ctx := context.Background()
	s := filled(t)
	s.Fail(store.ErrNoSpace, sessiontest.Close)
	require.ErrorIs(t, s.Close(ctx), store.ErrNoSpace)
	require.ErrorIs(t, s.Save(ctx, 1), store.ErrClosed)
}

// three is a store without the optional interfaces.
type three struct{ store.Store }

func TestWhatTheStoreBeneathDoesNotHave(t *testing.T) {
	for op := range operations {
		s := sessiontest.NewStore(three{store.NewMemory()})
		require.NoError(t, operations[sessiontest.Set](context.Background(), s))
		err := operations[op](context.Background(), s)
		switch op {
		case sessiontest.Touch, sessiontest.Clear, sessiontest.Save, sessiontest.Sweep, sessiontest.Keys, sessiontest.Snapshot, sessiontest.Restore:
			require.ErrorIs(t, err, store.ErrUnsupported, op)
		default:
			require.NoError(t, err, op)
		}
	}
	require.Panics(t, func() { sessiontest.NewStore(nil) })
}

func TestCalls(t *testing.T) {
	ctx := context.Background()
	s := sessiontest.NewStore(store.NewMemory())
	require.Zero(t, s.Calls())
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			_ = operations[sessiontest.Set](ctx, s)
			_ = operations[sessiontest.Get](ctx, s)
		})
	}
	wait.Wait()
	s.Fail(store.ErrUnavailable)
	require.Error(t, operations[sessiontest.Get](ctx, s))
	require.Equal(t, 21, s.Calls())
	require.Equal(t, 11, s.Calls(sessiontest.Get))
	require.Equal(t, 21, s.Calls(sessiontest.Get, sessiontest.Set, sessiontest.Touch))
	require.Zero(t, s.Calls(sessiontest.Delete))
}

func TestClock(t *testing.T) {
	var c sessiontest.Clock
	require.Equal(t, sessiontest.Start, c.Now())
	require.Equal(t, c.Now(), c.Now())
	c.Advance(90 * time.Minute)
	require.Equal(t, "2026-01-01T01:30:00Z", c.Now().Format(time.RFC3339))
	c.Advance(-time.Hour)
	require.Equal(t, "2026-01-01T00:30:00Z", c.Now().Format(time.RFC3339))
	at := time.Date(1999, 12, 31, 23, 59, 59, 5, time.FixedZone("x", 3600))
	c.Set(at)
	require.True(t, at.Equal(c.Now()))
	c.Advance(time.Second)
	require.Equal(t, time.Second, c.Now().Sub(at))
}

// The clock of a test and of its sessions are one, whatever the settings say.
func TestTheClockIsTheSettings(t *testing.T) {
	s := sessiontest.New(t, func(s *session.Settings) { s.Now = time.Now })
	s.Clock.Advance(time.Minute)
	require.Equal(t, s.Clock.Now(), s.Settings.Now())
}

// Whoever imports the package gets nothing but the standard library and what
// sessions need anyway.
func TestImports(t *testing.T) {
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.Contains(t, names, "sessions.go")
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			first, _, _ := strings.Cut(path, "/")
			own := path == "github.com/waddle-sessions/waddle/host/session" || path == "github.com/waddle-sessions/waddle/host/store"
			require.True(t, own || !strings.Contains(first, "."), "%s imports %s", name, path)
		}
	}
}

// TestStoreAsAWrapper does all that the store beneath does.
func TestStoreAsAWrapper(t *testing.T) {
	storetest.Wrapper(t, func(s store.Store) store.Store { return sessiontest.NewStore(s) })
}
