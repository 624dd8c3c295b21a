package tenant_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// While visitors count, log out and come back, the plugin is replaced again and again. No
// request fails, no visit is lost, and none that ended comes back.
func TestReplaceWhileServing(t *testing.T) {
	for name, next := range map[string]func(i int, m *tenant.Manifest){
		"languages": func(i int, m *tenant.Manifest) {
			m.Plugin = source(guest(t, []string{"c", "rust", "go"}[i%3]))
		},
		"settings": func(i int, m *tenant.Manifest) {
			m.Session = map[string]string{"SESSION_DURATION": fmt.Sprint(3600 + i)}
		},
		"files": func(i int, m *tenant.Manifest) {
			m.Plugin, m.Persist = tenant.Source{Bundled: "keyfolder"}, true
			m.Limits.Fuel = plugin.DefaultFuel - int64(i)
		},
		"snapshots": func(i int, m *tenant.Manifest) {
			m.Persist = true
			m.Limits.Fuel = plugin.DefaultFuel - int64(i)
		},
		"all": func(i int, m *tenant.Manifest) {
			m.Persist = i%2 == 0
			m.Plugin = tenant.Source{Bundled: []string{"memory", "keyfolder", "memory", "memory", "dynfile"}[i%5]}
			m.Persist = m.Persist || m.Plugin.Bundled != "memory"
			m.Limits.Fuel = plugin.DefaultFuel - int64(i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHost(t, tenant.HostConfig{Dir: t.TempDir()})
			m := named("alice")
			next(0, &m)
			made := deploy(t, h, m)
			web := serve(t, h, nil, counter())
			const visitors, rounds = 24, 12
			var wait sync.WaitGroup
			var left atomic.Int32
			left.Store(visitors)
			for range visitors {
				wait.Go(func() {
					defer left.Add(-1)
					v, n := web.visitor(), 0
					for i := 0; i < rounds || made.Stats().Deploys < 4; i++ {
						n++
						status, body, _, err := v.get("alice.localhost", "/")
						if want := fmt.Sprintf("alice %d", n); err != nil || status != http.StatusOK || body != want {
							t.Errorf("%d %q %v, want %q", status, body, err, want)
							return
						}
					}
				})
			}
			for i := 1; left.Load() > 0; i++ {
				next(i, &m)
				deploy(t, h, m)
			}
			wait.Wait()
			stats := made.Stats()
			t.Logf("%d deploys, last pause %v", stats.Deploys, stats.LastPause)
			require.Empty(t, stats.Errors)
		})
	}
}

// A model of the records is held against the store while it is replaced: sets, touches,
// deletes and conditions, by many goroutines, each with keys of its own.
func TestReplaceKeepsEveryWrite(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	m := named("alice")
	s := deploy(t, h, m).Store()
	var stop atomic.Bool
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 7))
			held := make(map[string]uint64) // revisions
			for i := uint64(1); !stop.Load(); i++ {
				key := fmt.Sprintf("%d-%d", g, random.IntN(300))
				now := store.At(time.Now())
				revision, there := held[key]
				var err error
				switch random.IntN(5) {
				case 0, 1:
					w := store.Write{Key: []byte(key), Value: value(i), Now: now, Expires: now + 3_600_000, Expect: store.Absent}
					if there {
						w.Expect = int64(revision)
					}
					err = s.Set(ctx, w)
					held[key] = i
				case 2:
					err = s.Delete(ctx, []byte(key), now)
					delete(held, key)
				case 3:
					err = store.Touch(ctx, s, []byte(key), now+7_200_000, now)
					if !there {
						err = must(t, err, store.ErrNotFound)
					}
				default:
					var got []byte
					got, err = s.Get(ctx, []byte(key), now)
					if !there {
						err = must(t, err, store.ErrNotFound)
					} else if err == nil && binary.LittleEndian.Uint64(got) != revision {
						t.Errorf("%s has revision %d, want %d", key, binary.LittleEndian.Uint64(got), revision)
					}
				}
				if err != nil {
					t.Errorf("%s: %v", key, err)
					return
				}
			}
		})
	}
	for i := range 24 {
		m.Plugin = source(guest(t, []string{"rust", "c"}[i%2]))
		deploy(t, h, m)
	}
	stop.Store(true)
	wait.Wait()
}

func value(revision uint64) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, revision), "a value of a session"...)
}

func must(t *testing.T, err, want error) error {
	if err == nil {
		t.Errorf("success, want %v", want)
	}
	if err != nil && !isKind(err, want) {
		return err
	}
	return nil
}

// A guest that cannot give its records is not replaced, unless it is said that they may be
// lost.
func TestSessionsAreNotLostBySurprise(t *testing.T) {
	h, _ := newHost(t, tenant.HostConfig{})
	web := serve(t, h, nil, counter())
	m := tenant.Manifest{Name: "alice", Hosts: []string{"alice.localhost"}, Plugin: source(without(t, guest(t, "c"), "session_snapshot"))}
	deploy(t, h, m)
	v := web.visitor()
	v.ok(t, "alice.localhost", "/", "alice 1")
	m.Plugin = tenant.Source{Bundled: "memory"}
	_, err := h.Deploy(ctx, m)
	require.ErrorIs(t, err, tenant.ErrWouldLose)
	require.ErrorContains(t, err, "session_snapshot")
	require.Equal(t, 1, h.Stats().Plugins.Plugins, "the new plugin is closed")
	v.ok(t, "alice.localhost", "/", "alice 2")
	m.Replace = tenant.ReplaceDrop
	deploy(t, h, m)
	v.ok(t, "alice.localhost", "/", "alice 1")

	// Where they can move, they do.
	m.Plugin = source(guest(t, "c"))
	deploy(t, h, m)
	v.ok(t, "alice.localhost", "/", "alice 2")
}

// A deploy whose context ends while it waits has no effect.
func TestDeployGivenUp(t *testing.T) {
	h, told := newHost(t, tenant.HostConfig{})
	m := named("alice")
	made := deploy(t, h, m)
	for i := range 20 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(i)*200*time.Microsecond)
		m.Plugin = source(guest(t, []string{"c", "rust"}[i%2]))
		_, err := h.Deploy(limited, m)
		cancel()
		if err != nil {
			require.True(t, isKind(err, context.DeadlineExceeded) || isKind(err, context.Canceled), err)
		}
		require.NoError(t, made.Store().Set(ctx, store.Write{Key: []byte("k"), Value: value(1), Now: store.At(time.Now())}))
		require.Equal(t, 1, h.Stats().Plugins.Plugins)
		require.Eventually(t, func() bool { return h.Stats().Modules == 1 }, minute, tick)
	}
	told.kinds("alice")
}
