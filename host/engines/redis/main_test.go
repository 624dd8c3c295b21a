package redis_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

var (
	ctx    = context.Background()
	silent = slog.New(slog.DiscardHandler)
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

var prefixes atomic.Int64

func newPrefix() string { return "t" + strconv.FormatInt(prefixes.Add(1), 10) + ":" }

// TestConformance runs the suite on the module, over a server.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	server := backend.SharedRedis(t, backend.RedisOptions{})
	storetest.Run(t, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		cfg := plugin.Config{Shards: setup.Shards, MemoryLimit: setup.MemoryLimit, Logger: silent}
		return redis.Open(ctx, "redis://"+server.Addr()+"?prefix="+prefixOf(t, setup.Dir), cfg)
	}, storetest.Options{Durable: true, Soak: 5000, Sequences: 10})
}

// prefixOf returns the prefix of a store. A store that is opened again, with the same
// directory or a copy, has the same one.
func prefixOf(t *testing.T, dir string) string {
	file := filepath.Join(dir, "prefix")
	if prefix, err := os.ReadFile(file); err == nil {
		return string(prefix)
	}
	prefix := newPrefix()
	require.NoError(t, os.WriteFile(file, []byte(prefix), 0o600))
	return prefix
}
