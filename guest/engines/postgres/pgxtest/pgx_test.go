// Package pgxtest runs an ordinary driver, pgx with its pool, in the sandbox.
package pgxtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

// build makes the module once for all tests, with the flags that an author uses.
var build = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "pgx-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, "./guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

func module(t *testing.T) []byte {
	if testing.Short() {
		t.Skip("builds and compiles a large module")
	}
	wasm, err := build()
	require.NoError(t, err)
	return wasm
}

func config(address string, more ...string) plugin.Config {
	settings := map[string]string{"url": fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", backend.PostgresUser, address, backend.PostgresDatabase)}
	for i := 0; i < len(more); i += 2 {
		settings[more[i]] = more[i+1]
	}
	return plugin.Config{
		Logger: slog.New(slog.DiscardHandler), GuestConfig: settings, Shards: 1, MemoryLimit: 64 << 20,
		Network: plugin.Network{Allow: []string{"tcp://" + address}, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
}

func TestConformance(t *testing.T) {
	server := backend.SharedPostgres(t)
	cfg := config(server.Addr())
	cfg.MemoryLimit = 4 * 64 << 20 // some checks have four instances
	plugintest.RunModule(t, module(t), plugintest.Options{
		Options:   storetest.Options{Only: []string{"expect", "expiry", "concurrent", "shared"}},
		Settings:  map[string]string{"table": fmt.Sprintf("pgx_%d_", os.Getpid())},
		Namespace: "table",
		Config:    cfg,
	})
}

// Many calls at the same time are batches, each of which is as many goroutines over a pool.
// The server is started again meanwhile, and the driver's goroutines make new connections.
func TestGoroutinesAndPool(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{})
	ctx := context.Background()
	cfg := config(server.Addr(), "max_idle", "2s")
	cfg.Trusted = true
	p, err := plugin.Open(ctx, module(t), cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(ctx)) }()
	connections := func() string {
		return server.Query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'waddle'")
	}
	all := func() (done int64) {
		var n atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				key := fmt.Appendf(nil, "key %d", i)
				if p.Set(ctx, store.Write{Key: key, Value: []byte("12345678 value"), Now: 1}) != nil {
					return
				}
				if got, err := p.Get(ctx, key, 1); err == nil && string(got) == "12345678 value" {
					n.Add(1)
				}
			})
		}
		wg.Wait()
		return n.Load()
	}
	require.Equal(t, int64(64), all())
	require.Equal(t, "4", connections())

	server.Restart()
	require.Eventually(t, func() bool { return all() == 64 }, 30*time.Second, 10*time.Millisecond)

	// Nobody calls, and the pool closes what is idle: its goroutines run between calls.
	require.Eventually(t, func() bool { return connections() == "0" }, 60*time.Second, 100*time.Millisecond)
	require.Equal(t, int64(64), all())

	// A server that does not answer ends a call at the driver's own time.
	server.Pause()
	began := time.Now()
	_, err = p.Get(ctx, []byte("key 1"), 1)
	server.Resume()
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.Less(t, time.Since(began), 30*time.Second)
	require.Eventually(t, func() bool { return all() == 64 }, 30*time.Second, 10*time.Millisecond)
}
