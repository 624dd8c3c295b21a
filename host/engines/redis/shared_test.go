package redis_test

import (
	"context"
	"testing"

	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestShared runs the checks of several hosts, each with a plugin of its own, over one
// server.
func TestShared(t *testing.T) {
	server := backend.SharedRedis(t, backend.RedisOptions{})
	cache := t.TempDir()
	storetest.Run(t, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		cfg := plugin.Config{Shards: setup.Shards, MemoryLimit: setup.MemoryLimit, Logger: silent, CacheDir: cache}
		return redis.Open(ctx, "redis://"+server.Addr()+"?prefix="+setup.Namespace+":", cfg)
	}, storetest.Options{Shared: true, Durable: true, Only: []string{"shared", "life"}, Sequences: 30})
}
