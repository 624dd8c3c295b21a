package network_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

var ctx = context.Background()

// eachGuest runs a test over each guest, with a server behind a proxy.
func eachGuest(t *testing.T, test func(t *testing.T, p *plugin.Plugin, proxy *backend.Proxy, language string)) {
	t.Helper()
	server := backend.Redis(t, backend.RedisOptions{})
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			proxy := backend.NewProxy(t, server.Addr())
			test(t, open(t, language, proxy.Addr(), nil), proxy, language)
		})
	}
}

func open(t *testing.T, language, address string, settings map[string]string) *plugin.Plugin {
	t.Helper()
	all := map[string]string{"address": "tcp://" + address, "prefix": language + ":"}
	for name, value := range settings {
		all[name] = value
	}
	c := config("tcp://"+address, all)
	c.Shards = 1
	p, err := plugin.Open(ctx, module(t, language), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	return p
}

func write(key string, revision uint64, expect int64) store.Write {
	return store.Write{Key: []byte(key), Value: storetest.Value(revision, 30), Now: storetest.Now, Expect: expect}
}

// A connection that was cut while nobody used it costs nobody an error.
func TestConnectionIsMadeAgain(t *testing.T) {
	eachGuest(t, func(t *testing.T, p *plugin.Plugin, proxy *backend.Proxy, _ string) {
		for n := range 3 {
			require.NoError(t, p.Set(ctx, write("key", uint64(n+1), 0)))
			proxy.CutAll()
			time.Sleep(50 * time.Millisecond) // until the host has heard of it
			_, err := p.Get(ctx, []byte("key"), storetest.Now)
			require.NoError(t, err)
		}
		proxy.Refuse()
		proxy.CutAll()
		_, err := p.Get(ctx, []byte("key"), storetest.Now)
		require.ErrorIs(t, err, store.ErrUnavailable)
		proxy.Accept()
		_, err = p.Get(ctx, []byte("key"), storetest.Now)
		require.NoError(t, err)
		require.Zero(t, p.Stats().Restarts)
	})
}

// Wherever a connection is cut in the middle of a write, the answer is true, or UNAVAILABLE; and the
// guest in C, whose writes have numbers, makes it again and knows its own.
func TestConnectionIsCutInAWrite(t *testing.T) {
	eachGuest(t, func(t *testing.T, p *plugin.Plugin, proxy *backend.Proxy, language string) {
		revision := uint64(1)
		require.NoError(t, p.Set(ctx, write("key", revision, 0)))
		cut := 0
		for _, direction := range []backend.Direction{backend.ToClient, backend.ToServer} {
			for n := int64(0); n < 4; n++ {
				before := proxy.Cuts()
				proxy.CutAfter(n, direction)
				err := p.Set(ctx, write("key", revision+1, int64(revision)))
				if proxy.Cuts() > before {
					cut++
				}
				if language == "c" {
					require.NoError(t, err, "cut after %d bytes", n)
				}
				require.True(t, err == nil || errors.Is(err, store.ErrUnavailable), "cut after %d bytes: %v", n, err)
				got, getErr := p.Get(ctx, []byte("key"), storetest.Now)
				require.NoError(t, getErr)
				if err == nil || string(got) == string(storetest.Value(revision+1, 30)) {
					revision++
				}
				require.Equal(t, storetest.Value(revision, 30), got)
			}
		}
		require.Greater(t, cut, 4)
	})
}

// A server that stalls costs an error after two seconds, and an answer that comes late is nobody's.
func TestServerStalls(t *testing.T) {
	eachGuest(t, func(t *testing.T, p *plugin.Plugin, proxy *backend.Proxy, _ string) {
		require.NoError(t, p.Set(ctx, write("one", 1, 0)))
		require.NoError(t, p.Set(ctx, write("two", 2, 0)))
		proxy.Stall()
		require.ErrorIs(t, p.Delete(ctx, []byte("three"), storetest.Now), store.ErrUnavailable)
		proxy.Resume()
		for range 3 {
			for n, key := range []string{"one", "two"} {
				got, err := p.Get(ctx, []byte(key), storetest.Now)
				require.NoError(t, err)
				require.Equal(t, storetest.Value(uint64(n+1), 30), got)
			}
		}
	})
}

func TestPassword(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Password: "a secret"})
	p := open(t, "c", server.Addr(), map[string]string{"password": "a secret"})
	require.NoError(t, p.Set(ctx, write("key", 1, 0)))
	for _, settings := range []map[string]string{{"password": "another"}, {}} {
		settings["address"], settings["prefix"] = "tcp://"+server.Addr(), "x"
		_, err := plugin.Open(ctx, module(t, "c"), config("tcp://"+server.Addr(), settings))
		if settings["password"] == "" {
			continue // it connects, and is told at the first command
		}
		require.ErrorIs(t, err, plugin.ErrOpen)
		require.ErrorContains(t, err, "DENIED: WRONGPASS")
		require.NotContains(t, err.Error(), "another")
	}
}

func TestAddressThatIsNotGranted(t *testing.T) {
	for _, language := range languages {
		_, err := plugin.Open(ctx, module(t, language), config("tcp://127.0.0.1:1", map[string]string{"address": "tcp://127.0.0.1:2"}))
		require.ErrorIs(t, err, plugin.ErrOpen, language)
		require.Regexp(t, "DENIED|UNAVAILABLE", err.Error(), language)
	}
}
