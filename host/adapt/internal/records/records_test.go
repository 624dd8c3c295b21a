package records_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/internal/records"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

const ms = time.Millisecond

// overStores runs a test over the native store, a bundled engine, and a plugin in C.
func overStores(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Helper()
	config := plugin.Config{Shards: 1, Logger: slog.New(slog.DiscardHandler), SweepInterval: -1}
	stores := map[string]func() (store.Store, error){
		"native":        func() (store.Store, error) { return store.NewMemory(), nil },
		"memory engine": func() (store.Store, error) { return memory.Open(t.Context(), config) },
		"plugin in C": func() (store.Store, error) {
			return plugin.OpenFile(t.Context(), "../../../../examples/guests/c/store.wasm", config)
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s, err := open()
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close(context.Background(), s)) })
			f(t, s)
		})
	}
}

func keyring(t *testing.T) *session.Keyring {
	t.Helper()
	k, err := session.NewKeyring("0123456789abcdefghijklmnopqrstuv")
	require.NoError(t, err)
	return k
}

func open(t *testing.T, s store.Store, clock *sessiontest.Clock, change ...func(*records.Settings)) *records.Records {
	t.Helper()
	settings := records.Settings{Kind: "test", Now: clock.Now, OnCorrupt: func(_ context.Context, err error) { t.Error(err) }}
	for _, f := range change {
		f(&settings)
	}
	r, err := records.New(s, settings)
	require.NoError(t, err)
	return r
}

// model says what a token has: nothing, data until a time, or an end until a time.
type model struct {
	data       string
	until      time.Time
	ended      bool
	endedUntil time.Time
}

// Random sequences of calls do what the model says, at every millisecond.
func TestSequences(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		clock := new(sessiontest.Clock)
		r := open(t, s, clock, func(s *records.Settings) { s.Keyring, s.KeepTokens = keyring(t), true })
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 1))
		said := fmt.Sprintf("seed %d", seed)
		ctx := t.Context()
		want := make(map[string]model)
		for step := range 1500 {
			token := []string{"", "a", "b", "token 1", "token 2", "token 3"}[random.IntN(6)]
			now := clock.Now()
			m := want[token]
			m.ended = m.ended && now.Before(m.endedUntil)
			alive := !m.ended && m.data != "" && now.Before(m.until)
			switch random.IntN(6) {
			case 0, 1:
				data, until := fmt.Sprint("data ", step), now.Add(time.Duration(random.IntN(4000)-500)*ms)
				err := r.Put(ctx, token, []byte(data), until)
				if m.ended {
					require.ErrorIs(t, err, records.ErrEnded, said)
					continue
				}
				require.NoError(t, err, said)
				want[token] = model{data: data, until: until}
			case 2:
				require.NoError(t, r.End(ctx, token), said)
				want[token] = model{ended: true, endedUntil: now.Add(time.Hour)}
			case 3:
				got, err := r.Load(ctx, token)
				if !alive {
					require.ErrorIs(t, err, store.ErrNotFound, said)
					continue
				}
				require.NoError(t, err, said)
				require.Equal(t, m.data, string(got.Data), said)
				data, until := fmt.Sprint("next ", step), now.Add(time.Second)
				if random.IntN(2) == 0 {
					_, err = r.Replace(ctx, token, []byte(data), until, got.Revision+1)
					require.ErrorIs(t, err, store.ErrConflict, said)
					continue
				}
				_, err = r.Replace(ctx, token, []byte(data), until, got.Revision)
				require.NoError(t, err, said)
				_, err = r.Replace(ctx, token, []byte(data), until, got.Revision)
				require.ErrorIs(t, err, store.ErrConflict, said)
				want[token] = model{data: data, until: until}
			case 4:
				all := make(map[string]string)
				for got, err := range r.All(ctx) {
					require.NoError(t, err, said)
					all[got.Token] = string(got.Data)
				}
				living := make(map[string]string)
				for token, m := range want {
					if !m.ended && m.data != "" && now.Before(m.until) {
						living[token] = m.data
					}
				}
				require.Equal(t, living, all, said)
			default:
				clock.Advance([]time.Duration{ms, 100 * ms, time.Second, 20 * time.Minute}[random.IntN(4)])
			}
		}
	})
}

// Several writers replace the record that they read: each one's change counts, and none
// brings back a record that was ended.
func TestRaces(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		r := open(t, s, new(sessiontest.Clock))
		ctx, until := t.Context(), sessiontest.Start.Add(time.Hour)
		require.NoError(t, r.Put(ctx, "counter", []byte{0}, until))
		const writers, each = 4, 25
		var wait sync.WaitGroup
		for range writers {
			wait.Go(func() {
				for done := 0; done < each; {
					got, err := r.Load(ctx, "counter")
					if err == nil {
						_, err = r.Replace(ctx, "counter", []byte{got.Data[0] + 1}, until, got.Revision)
					}
					switch {
					case err == nil:
						done++
					case !errors.Is(err, store.ErrConflict):
						t.Error(err)
						return
					}
				}
			})
		}
		wait.Wait()
		got, err := r.Load(ctx, "counter")
		require.NoError(t, err)
		require.EqualValues(t, writers*each, got.Data[0])

		// An end among writes that take whatever is there.
		for round := range 20 {
			token := fmt.Sprint("round ", round)
			require.NoError(t, r.Put(ctx, token, []byte("first"), until))
			for range writers {
				wait.Go(func() {
					for {
						if err := r.Put(ctx, token, []byte("again"), until); err != nil {
							if !errors.Is(err, records.ErrEnded) {
								t.Error(err)
							}
							return
						}
					}
				})
			}
			require.NoError(t, r.End(ctx, token))
			wait.Wait()
			_, err := r.Load(ctx, token)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
	})
}

// full is a store without room, in which records can be removed.
type full struct {
	store.Store
	is bool
}

func (f *full) Set(ctx context.Context, w store.Write) error {
	if f.is && w.Expires > w.Now {
		return store.ErrNoSpace
	}
	return f.Store.Set(ctx, w)
}

// Without room, too, the end of one revision is not that of a later one, which somebody
// else has stored.
func TestEndRevisionWithoutRoom(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		ctx, clock, f := t.Context(), new(sessiontest.Clock), &full{Store: s}
		r, until := open(t, f, clock), clock.Now().Add(time.Hour)
		first, err := r.Replace(ctx, "token", []byte("first"), until, store.Absent)
		require.NoError(t, err)
		second, err := r.Replace(ctx, "token", []byte("second"), until, first)
		require.NoError(t, err)
		f.is = true
		require.ErrorIs(t, r.EndRevision(ctx, "token", first), store.ErrConflict)
		got, err := r.Load(ctx, "token")
		require.NoError(t, err)
		require.Equal(t, "second", string(got.Data))
		require.NoError(t, r.EndRevision(ctx, "token", second))
		_, err = r.Load(ctx, "token")
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

// What the store has tells neither tokens nor, with a keyring, data; and records of
// other libraries, applications and programs are other records.
func TestWhatTheStoreLearns(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		ctx, clock := t.Context(), new(sessiontest.Clock)
		until := clock.Now().Add(time.Hour)
		sealed := func(s *records.Settings) { s.Keyring, s.KeepTokens = keyring(t), true }
		r := open(t, s, clock, sealed)
		require.NoError(t, r.Put(ctx, "the token", []byte("the data"), until))
		plain := open(t, s, clock, func(s *records.Settings) { s.Namespace = "plain" })
		require.NoError(t, plain.Put(ctx, "the token", []byte("other data"), until))
		others := 0
		for rec, err := range store.Snapshot(ctx, s, store.At(clock.Now())) {
			require.NoError(t, err)
			require.NotContains(t, string(rec.Key)+string(rec.Value), "the token")
			require.NotContains(t, string(rec.Value), "the data")
			require.Len(t, rec.Key, 32)
			others++
		}
		require.Equal(t, 2, others)

		manager, err := session.New(s, session.Settings{Now: clock.Now, Keyring: keyring(t)})
		require.NoError(t, err)
		its := manager.Session(ctx, "")
		require.NoError(t, its.Set("name", "value"))
		require.NoError(t, its.Save())

		for _, c := range []struct {
			name   string
			change func(*records.Settings)
		}{
			{"another library", func(s *records.Settings) { sealed(s); s.Kind = "other" }},
			{"another application", func(s *records.Settings) { sealed(s); s.Namespace = "other" }},
		} {
			other := open(t, s, clock, c.change)
			_, err := other.Load(ctx, "the token")
			require.ErrorIs(t, err, store.ErrNotFound, c.name)
			for got, err := range other.All(ctx) {
				t.Errorf("%s: found %v, %v, want nothing", c.name, got, err)
			}
		}
		for got, err := range r.All(ctx) {
			require.NoError(t, err)
			require.Equal(t, "the token", got.Token)
		}
		for _, err := range plain.All(ctx) {
			require.ErrorIs(t, err, store.ErrUnsupported)
		}
	})
}

// A record that cannot be read counts as absent, and is told of.
func TestCorruptRecords(t *testing.T) {
	ctx, clock := t.Context(), new(sessiontest.Clock)
	for name, damage := range map[string]func([]byte) []byte{
		"short":    func(b []byte) []byte { return b[:9] },
		"form":     func(b []byte) []byte { b[8]++; return b },
		"flags":    func(b []byte) []byte { b[9] = 7; return b },
		"token":    func(b []byte) []byte { b[11] = 255; return b },
		"revision": func(b []byte) []byte { clear(b[:8]); return b },
		"larger":   func(b []byte) []byte { return append(b, make([]byte, 2<<20)...) },
	} {
		t.Run(name, func(t *testing.T) {
			s, told := store.NewMemory(), 0
			r := open(t, s, clock, func(s *records.Settings) { s.OnCorrupt = func(context.Context, error) { told++ } })
			until := clock.Now().Add(time.Hour)
			require.NoError(t, r.Put(ctx, "token", []byte("data"), until))
			now := store.At(clock.Now())
			for rec, err := range store.Snapshot(ctx, s, now) {
				require.NoError(t, err)
				require.NoError(t, s.Set(ctx, store.Write{Key: rec.Key, Value: damage(rec.Value), Now: now}))
			}
			_, err := r.Load(ctx, "token")
			require.ErrorIs(t, err, store.ErrNotFound)
			require.Equal(t, 1, told)
			require.NoError(t, r.Put(ctx, "token", []byte("new"), until), "a write replaces it")
			got, err := r.Load(ctx, "token")
			require.NoError(t, err)
			require.Equal(t, "new", string(got.Data))
		})
	}
}

func TestSettings(t *testing.T) {
	native := store.NewMemory()
	for name, c := range map[string]struct {
		s      store.Store
		change records.Settings
		want   string
	}{
		"no store":               {nil, records.Settings{}, "the store is nil"},
		"namespace":              {native, records.Settings{Namespace: "a\x00b"}, "Namespace has 3 bytes"},
		"size":                   {native, records.Settings{MaxSize: 17 << 20}, "MaxSize is 17825792"},
		"timeout":                {native, records.Settings{Timeout: -5}, "Timeout is -5ns"},
		"tokens without a key":   {native, records.Settings{KeepTokens: true}, "without a Keyring"},
		"unsealed without a key": {native, records.Settings{ReadUnsealedUntil: time.Now()}, "ReadUnsealedUntil is set"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := records.New(c.s, c.change)
			require.ErrorIs(t, err, session.ErrSettings)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestBounds(t *testing.T) {
	ctx, clock := t.Context(), new(sessiontest.Clock)
	r := open(t, store.NewMemory(), clock, func(s *records.Settings) { s.MaxSize = 4 })
	until := clock.Now().Add(time.Hour)
	require.NoError(t, r.Put(ctx, "token", []byte("four"), until))
	require.ErrorIs(t, r.Put(ctx, "token", []byte("five!"), until), session.ErrTooLarge)
	long := string(make([]byte, records.MaxToken+1))
	require.ErrorIs(t, r.Put(ctx, long, nil, until), store.ErrInvalid)
	require.NoError(t, r.Put(ctx, "", nil, until), "a token like any other")
	_, err := r.Load(ctx, long)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, r.End(ctx, long))
	require.NoError(t, r.End(ctx, ""))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, r.Put(cancelled, "token", nil, until), context.Canceled)
	_, err = r.Load(cancelled, "token")
	require.ErrorIs(t, err, context.Canceled)
}
