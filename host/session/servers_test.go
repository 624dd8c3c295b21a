package session_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// ownStore is one server's store over a backend that others use too. It has nothing but
// the backend in common with theirs, and ends by itself.
type ownStore struct {
	store.Store
	ended atomic.Bool
}

func (o *ownStore) Unwrap() store.Store { return o.Store }

func (o *ownStore) Close(context.Context) error {
	o.ended.Store(true)
	return nil
}

// servers are applications with one backend, each with an HTTP server, a manager, a store
// and a clock of its own.
type servers []*app

// serverCount is how many servers there are: one may log in, another read, a third end the
// session.
const serverCount = 3

// backends are what servers share.
var backends = []struct {
	name string
	open func(t *testing.T) []store.Store // of each server
}{
	{"native", func(*testing.T) (all []store.Store) {
		m := store.NewMemory()
		for range serverCount {
			all = append(all, &ownStore{Store: m})
		}
		return all
	}},
	{"redis engine", redisEngines},
}

// redisPlugins are opened once, since starting takes longer than a test.
var redisPlugins struct {
	sync.Mutex
	all []*plugin.Plugin
}

// redisEngines are plugins of several hosts over one server. Each test clears it.
func redisEngines(t *testing.T) (all []store.Store) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a server, and a plugin for each of several hosts")
	}
	server := backend.SharedRedis(t, backend.RedisOptions{})
	redisPlugins.Lock()
	defer redisPlugins.Unlock()
	for len(redisPlugins.all) < serverCount {
		p, err := redis.Open(ctx, "redis://"+server.Addr()+"?prefix=sessions:", plugin.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		redisPlugins.all = append(redisPlugins.all, p)
	}
	require.NoError(t, redisPlugins.all[0].Clear(ctx, clockStart))
	for _, p := range redisPlugins.all {
		all = append(all, leftOpen{p})
	}
	return all
}

// overBackends runs a test once for each backend.
func overBackends(t *testing.T, f func(t *testing.T, f servers), change ...func(*session.Settings)) {
	t.Helper()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			var all servers
			for _, s := range b.open(t) {
				all = append(all, newApp(t, s, change...))
			}
			f(t, all)
		})
	}
}

// advance lets time pass on all servers.
func (f servers) advance(d time.Duration) {
	for _, a := range f {
		a.clock.Advance(d)
	}
}

// differ makes the clocks of the servers differ by some seconds.
func (f servers) differ() {
	for i, a := range f {
		a.clock.Advance(time.Duration(i-1) * 2 * time.Second)
	}
}

// inEachRole runs f with each server as the first, the second and the third.
func (f servers) inEachRole(t *testing.T, test func(t *testing.T, a, b, c *app)) {
	for i := range f {
		test(t, f[i], f[(i+1)%serverCount], f[(i+2)%serverCount])
		test(t, f[i], f[(i+2)%serverCount], f[(i+1)%serverCount])
	}
}
