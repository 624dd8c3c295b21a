package guesttest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

var ctx = context.Background()

func TestPlainEngine(t *testing.T) {
	guesttest.Run(t, func() guest.Engine { return new(shelf) }, guest.Info{Name: "shelf"},
		guesttest.Options{Settings: map[string]string{"max_entries": "1000000"}})
}

func TestEngineWithEverything(t *testing.T) {
	guesttest.Run(t, func() guest.Engine { return new(ledger) }, ledgerInfo)
}

// Results lie where the next call's arguments are written, and the host touches
// by reading and writing.
func TestEngineWithResultsInScratch(t *testing.T) {
	guesttest.Run(t, func() guest.Engine { return struct{ guest.Engine }{new(ledger)} }, ledgerInfo)
}

func TestEngineWithFiles(t *testing.T) {
	guesttest.RunFiles(t, func(dir string) guest.Engine { return &ledger{file: dir} }, ledgerInfo)
}

func TestWhatTheSuiteIsToldOfAnEngine(t *testing.T) {
	told := func(want guesttest.Options) guesttest.Options {
		return guesttest.Options{Options: storetest.Options{Only: []string{"own"}, More: []storetest.Test{{
			Name: "own/options", Section: "11. Limits", Requires: "what Info says",
			Run: func(p *storetest.Probe) {
				o := p.Options()
				if o.Durable != want.Durable || o.MaxKey != want.MaxKey || o.MaxValue != want.MaxValue || o.Target != want.Target {
					p.Failf(fmt.Sprintf("%+v", want.Options), "%+v", o)
				}
			},
		}}}}
	}
	var want guesttest.Options
	want.Target, want.Durable, want.MaxKey, want.MaxValue = "small", true, 100, 5000
	info := guest.Info{Name: "small", MaxKey: 100, MaxValue: 5000}
	guesttest.RunFiles(t, func(dir string) guest.Engine { return &ledger{file: dir} }, info, told(want))
	want.Durable = false
	guesttest.Run(t, func() guest.Engine { return new(ledger) }, info, told(want))
}

// Each engine has one fault, and the suite must find it through the adapter.
func TestFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		engine  func(dir string) guest.Engine
		only    string // the checks to run
		failing string // one that must fail
		found   string // what it must find
	}{
		{"expiry late by a millisecond", func(string) guest.Engine { return &ledger{late: true} },
			"expiry", "expiry/exact-millisecond", "NOT_FOUND"},
		{"keeps what it was given", func(string) guest.Engine { return &ledger{aliasing: true} },
			"get", "get/again", "differ"},
		{"nothing but conflicts, of that", func(string) guest.Engine { return &ledger{aliasing: true} },
			"concurrent", "concurrent/every-increment-counts", "conflicts in a row"},
		{"ignores conditions", func(string) guest.Engine { return &ledger{blind: true} },
			"expect", "expect/create-only", "success"},
		{"one state for all", func(string) guest.Engine { return common },
			"life", "life/two-stores", "value"},
		{"saves nothing", func(dir string) guest.Engine { return &ledger{file: dir, lazy: true} },
			"reopen", "reopen/one-record", "NOT_FOUND"},
		{"panics", func(string) guest.Engine { return &ledger{touchy: true} },
			"touch", "touch/extends", "somebody touched the ledger"},
		{"cursors without an end", func(string) guest.Engine { return &ledger{endless: true} },
			"keys", "keys/all", "enumeration does not end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range check(t, c.engine, c.only).Results {
				if r.Name == c.failing && r.Status == storetest.Fail {
					text := fmt.Sprintf("%+v", *r.Failure)
					require.Contains(t, text, c.found)
					return
				}
			}
			require.Fail(t, c.failing+" did not fail")
		})
	}
}

func check(t *testing.T, engine func(string) guest.Engine, only ...string) *storetest.Report {
	return storetest.Check(ctx, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		return guesttest.Open(ctx, engine, ledgerInfo, nil, setup)
	}, storetest.Options{Durable: true, Only: only, Seed: 1, Dir: t.TempDir(), MaxValue: ledgerInfo.MaxValue})
}

func TestErrorsAreThoseOfAHost(t *testing.T) {
	engine := new(ledger)
	s, err := guesttest.Open(ctx, func(string) guest.Engine { return engine }, ledgerInfo, nil, storetest.Setup{})
	require.NoError(t, err)
	ignoring := func(_ []byte, err error) error { return err }
	key := []byte("key")
	require.True(t, ignoring(s.Get(ctx, key, 1)) == store.ErrNotFound)
	require.True(t, s.Set(ctx, store.Write{Key: key, Now: 1, Expect: 5}) == store.ErrConflict)
	require.True(t, store.Touch(ctx, s, key, 5, 1) == store.ErrNotFound)
	require.NoError(t, s.Delete(ctx, key, 1))
	require.ErrorIs(t, ignoring(s.Get(ctx, nil, 1)), store.ErrInvalid)
	require.ErrorIs(t, s.Set(ctx, store.Write{Key: key, Value: make([]byte, ledgerInfo.MaxValue+1)}), store.ErrTooLarge)

	engine.failing = guest.Fail(guest.ErrUnavailable, "the disk is asleep")
	err = ignoring(s.Get(ctx, key, 1))
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.EqualError(t, err, "engine ledger: get in shard 0: UNAVAILABLE: the disk is asleep")
	engine.failing = errors.New("on fire")
	require.EqualError(t, store.Save(ctx, s, 1), "engine ledger: save in shard 0: INTERNAL: on fire")
	require.ErrorIs(t, store.Save(ctx, s, 1), store.ErrInternal)
	engine.failing = guest.Fail(guest.ErrConflict, "somebody was faster")
	require.EqualError(t, s.Set(ctx, store.Write{Key: key, Now: 1}), "engine ledger: set in shard 0: CONFLICT: somebody was faster")

	engine.failing = guest.ErrDenied
	require.ErrorIs(t, store.Close(ctx, s), store.ErrDenied, "it could not save")
	require.NoError(t, store.Close(ctx, s))
	require.ErrorIs(t, store.Save(ctx, s, 1), store.ErrClosed)

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, store.Clear(cancelled, s, 1), context.Canceled)
}

func TestWhatAnEngineLacks(t *testing.T) {
	s, err := guesttest.Open(ctx, func(string) guest.Engine { return new(shelf) }, guest.Info{Name: "shelf"}, nil, storetest.Setup{Shards: 2})
	require.NoError(t, err)
	defer store.Close(ctx, s)
	_, err = store.Sweep(ctx, s, 10, 1)
	require.ErrorIs(t, err, store.ErrUnsupported)
	for _, err := range store.Keys(ctx, s, 1) {
		require.ErrorIs(t, err, store.ErrUnsupported)
	}
	for _, err := range store.Snapshot(ctx, s, 1) {
		require.ErrorIs(t, err, store.ErrUnsupported)
	}
	key := []byte("key")
	require.NoError(t, s.Set(ctx, store.Write{Key: key, Value: []byte("value"), Expires: 10, Now: 1}))
	require.NoError(t, store.Touch(ctx, s, key, 20, 1), "by reading and writing")
	got, err := s.Get(ctx, key, 19)
	require.NoError(t, err)
	require.Equal(t, "value", string(got))
	require.NoError(t, store.Touch(ctx, s, key, 5, 5), "an expiry that has passed removes")
	_, err = s.Get(ctx, key, 5)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestWhatAnEngineIsOpenedWith(t *testing.T) {
	var seen []string
	engine := func(dir string) guest.Engine {
		return &ledger{opened: func(c *guest.Config) {
			seen = append(seen, dir, c.String("colour", ""), c.String("shard", ""), c.String("shards", ""), c.String("memory_limit", ""))
		}}
	}
	_, err := guesttest.Open(ctx, engine, ledgerInfo, map[string]string{"colour": "blue"},
		storetest.Setup{Shards: 2, Dir: "somewhere", MemoryLimit: 64 << 20})
	require.NoError(t, err)
	require.Equal(t, []string{"somewhere", "blue", "0", "2", "33554432", "somewhere", "blue", "1", "2", "33554432"}, seen)

	for _, c := range []struct {
		settings map[string]string
		setup    storetest.Setup
		message  string
	}{
		{map[string]string{"color": "blue"}, storetest.Setup{}, "engine ledger: open in shard 0: INVALID: the setting color is unknown: this engine has colour"},
		{map[string]string{"shards": "2"}, storetest.Setup{}, `store: invalid argument or setting: the setting "shards" is set by the host: remove it from Settings`},
		{nil, storetest.Setup{Shards: 3}, "store: invalid argument or setting: Setup.Shards is 3: must be a power of two"},
	} {
		_, err := guesttest.Open(ctx, engine, ledgerInfo, c.settings, c.setup)
		require.ErrorIs(t, err, store.ErrInvalid)
		require.EqualError(t, err, c.message)
	}
}

// A store that is closed saves at the time that it last heard of, not at the
// machine's time.
func TestCloseSavesAtTheLastTime(t *testing.T) {
	dir := t.TempDir()
	engine := func(dir string) guest.Engine { return &ledger{file: dir} }
	s, err := guesttest.Open(ctx, engine, ledgerInfo, nil, storetest.Setup{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Set(ctx, store.Write{Key: []byte("a"), Value: []byte("1"), Expires: 100, Now: 50}))
	require.NoError(t, s.Set(ctx, store.Write{Key: []byte("b"), Value: []byte("2"), Expires: 60, Now: 40}))
	require.NoError(t, s.Delete(ctx, []byte("c"), 70))
	require.NoError(t, store.Close(ctx, s))
	s, err = guesttest.Open(ctx, engine, ledgerInfo, nil, storetest.Setup{Dir: dir})
	require.NoError(t, err)
	_, err = s.Get(ctx, []byte("a"), 50)
	require.NoError(t, err)
	_, err = s.Get(ctx, []byte("b"), 50)
	require.ErrorIs(t, err, store.ErrNotFound)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// closing counts how often it was closed, and can be made not to open.
type closing struct {
	shelf
	refusing bool
	count    *atomic.Int32 // instances are closed at the same time
}

func (c *closing) Open(config *guest.Config) error {
	if c.refusing && config.Shard() == 2 {
		return guest.ErrDenied
	}
	return c.shelf.Open(config)
}

func (c *closing) Close() { c.count.Add(1) }

func TestEnginesAreClosed(t *testing.T) {
	var count atomic.Int32
	info := guest.Info{Name: "closing"}
	s, err := guesttest.Open(ctx, func(string) guest.Engine { return &closing{count: &count} }, info, nil, storetest.Setup{Shards: 4})
	require.NoError(t, err)
	require.NoError(t, store.Close(ctx, s))
	require.NoError(t, store.Close(ctx, s))
	require.EqualValues(t, 4, count.Load())
	count.Store(0)
	_, err = guesttest.Open(ctx, func(string) guest.Engine { return &closing{count: &count, refusing: true} }, info, nil, storetest.Setup{Shards: 4})
	require.ErrorIs(t, err, store.ErrDenied)
	require.EqualValues(t, 2, count.Load(), "those before the one that did not open")
}

// A list of records is divided for an engine that has no exchange buffer for it.
func TestRestoreIntoAnEngineForSmallValues(t *testing.T) {
	small := guest.Info{Name: "small", MaxValue: 60_000}
	for _, sizes := range [][]int{
		{}, {60_000}, {60_000, 60_000}, {1, 60_000}, {60_000, 1}, {1, 1, 60_000}, make([]int, 3000), {9, 60_000, 50_000, 1, 1, 60_000},
	} {
		s, err := guesttest.Open(ctx, func(string) guest.Engine { return new(shelf) }, small, map[string]string{"max_entries": "5000"}, storetest.Setup{})
		require.NoError(t, err)
		require.NoError(t, store.Restore(ctx, s, func(yield func(store.Record, error) bool) {
			for n, size := range sizes {
				if !yield(store.Record{Key: fmt.Append(nil, "key", n), Value: make([]byte, size)}, nil) {
					return
				}
			}
		}, 1))
		for n, size := range sizes {
			got, err := s.Get(ctx, fmt.Append(nil, "key", n), 1)
			require.NoError(t, err)
			require.Len(t, got, size)
		}
		require.NoError(t, store.Close(ctx, s))
	}
}
