package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/postgres"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
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

// TestConformance runs the suite on the module, metered, over a server.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	server := backend.SharedPostgres(t)
	wasm, err := postgres.Module()
	require.NoError(t, err)
	plugintest.RunModule(t, wasm, plugintest.Options{
		Options: storetest.Options{Soak: 2000, Sequences: 5, Durable: true},
		Settings: map[string]string{
			"addresses": server.Addr(), "database": backend.PostgresDatabase, "user": backend.PostgresUser,
			"table": fmt.Sprintf("suite_%d_", os.Getpid()),
		},
		Namespace: "table",
		Config: plugin.Config{
			MemoryLimit: 4 * 64 << 20, // some checks have four instances
			Network:     plugin.Network{Allow: []string{"tcp://" + server.Addr()}, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		},
	})
}
