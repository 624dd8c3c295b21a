// Package network_test runs the conformance suite on the storage plugins of this folder, each
// over a real server.
package network_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// config is that of a plugin that may reach one server of this machine.
func config(address string, settings map[string]string) plugin.Config {
	return plugin.Config{
		GuestConfig:   settings,
		Network:       plugin.Network{Allow: []string{address}, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		SweepInterval: -1,
		Logger:        slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// prefix is that of the store in a directory. One that is opened again, with the same directory or a
// copy of it, has the same.
func prefix(dir string) string {
	file := filepath.Join(dir, "prefix")
	if prefix, err := os.ReadFile(file); err == nil {
		return string(prefix)
	}
	prefix := filepath.Base(dir) + ":"
	if err := os.WriteFile(file, []byte(prefix), 0o600); err != nil {
		panic(err)
	}
	return prefix
}

func TestConformance(t *testing.T) {
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			server := backend.Redis(t, backend.RedisOptions{Program: program})
			wasm, err := os.ReadFile(filepath.Join("c", "store.wasm"))
			require.NoError(t, err)
			storetest.Run(t, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
				c := config("tcp://"+server.Addr(), map[string]string{"address": "tcp://" + server.Addr(), "prefix": prefix(setup.Dir)})
				c.Shards, c.MemoryLimit = setup.Shards, setup.MemoryLimit
				return plugin.Open(ctx, wasm, c)
			}, storetest.Options{Durable: true, MaxValue: 256 << 10, Soak: 5000, Sequences: 20})
		})
	}
}
