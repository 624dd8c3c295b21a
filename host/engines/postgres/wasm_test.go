package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/postgres"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

var (
	ctx    = context.Background()
	silent = slog.New(slog.DiscardHandler)
	tables atomic.Int64
)

func newTable() string { return fmt.Sprintf("table_%d_%d", os.Getpid(), tables.Add(1)) }

// urlOf names a server and a table.
func urlOf(address, table, more string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?table=%s%s", backend.PostgresUser, "not%20a%20secret", address, backend.PostgresDatabase, table, more)
}

// quiet is a config of a plugin that does nothing by itself.
func quiet() plugin.Config {
	return plugin.Config{Logger: silent, SweepInterval: -1, Durability: plugin.DurabilityClose}
}

// TestConformance runs the suite over the module in a plugin.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	server := backend.SharedPostgres(t)
	open := func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		file := filepath.Join(setup.Dir, "table")
		name, err := os.ReadFile(file)
		if err != nil {
			name = []byte(newTable())
			if err := os.WriteFile(file, name, 0o600); err != nil {
				return nil, err
			}
		}
		cfg := quiet()
		cfg.Shards = setup.Shards
		return postgres.Open(ctx, urlOf(server.Addr(), string(name), ""), cfg)
	}
	// As long as it is open, the code of the others need not be loaded.
	keeper, err := postgres.Open(ctx, urlOf(server.Addr(), newTable(), ""), quiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, keeper.Close(ctx)) }()
	storetest.Run(t, open, storetest.Options{Target: "postgres", Durable: true, Soak: 2000, Sequences: 5})
}
