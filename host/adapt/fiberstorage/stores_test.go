package fiberstorage_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// stores are the stores over which a storage is tested: a native one, a bundled engine,
// and a plugin from a .wasm.
var stores = map[string]func(t *testing.T) store.Store{
	"native": func(*testing.T) store.Store { return store.NewMemory() },
	"memory engine": func(t *testing.T) store.Store {
		return opened(t, func(ctx context.Context, c plugin.Config) (*plugin.Plugin, error) { return memory.Open(ctx, c) })
	},
	"a .wasm": func(t *testing.T) store.Store {
		return opened(t, func(ctx context.Context, c plugin.Config) (*plugin.Plugin, error) {
			return plugin.OpenFile(ctx, filepath.FromSlash("../../../examples/guests/c/store.wasm"), c)
		})
	},
}

func opened(t *testing.T, open func(context.Context, plugin.Config) (*plugin.Plugin, error)) store.Store {
	t.Helper()
	p, err := open(context.Background(), plugin.Config{Shards: 2, Logger: slog.New(slog.DiscardHandler), SweepInterval: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}
