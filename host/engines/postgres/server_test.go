package postgres_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/engines/postgres"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

const now = store.Millis(1_767_225_600_000)

func open(t *testing.T, url string) *plugin.Plugin {
	t.Helper()
	p, err := postgres.Open(ctx, url, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	return p
}

func works(t *testing.T, p *plugin.Plugin) {
	t.Helper()
	value := []byte("\x01\x00\x00\x00\x00\x00\x00\x00value")
	require.NoError(t, p.Set(ctx, store.Write{Key: []byte("works"), Value: value, Now: now}))
	got, err := p.Get(ctx, []byte("works"), now)
	require.NoError(t, err)
	require.Equal(t, value, got)
}

// The host does TLS, in the middle of the guest's protocol, and checks whom it talks to.
func TestTLS(t *testing.T) {
	certs := backend.NewCertificates(t)
	server := backend.Postgres(t, backend.PostgresOptions{Auth: "scram-sha-256", TLS: certs, ClientCert: true})
	trusting := "&sslmode=verify-full&sslrootcert=" + certs.RootFile + "&sslcert=" + certs.ClientFile + "&sslkey=" + certs.ClientKeyFile
	works(t, open(t, urlOf(server.Addr(), newTable(), trusting)))

	for name, more := range map[string]string{
		"without the root":    "&sslmode=verify-full",
		"another root":        "&sslmode=verify-full&sslrootcert=" + backend.NewCertificates(t).RootFile,
		"without certificate": "&sslmode=verify-full&sslrootcert=" + certs.RootFile,
		"without TLS":         "&sslmode=disable",
	} {
		_, err := postgres.Open(ctx, urlOf(server.Addr(), newTable(), more), quiet())
		require.ErrorIs(t, err, plugin.ErrOpen, name)
		require.NotContains(t, err.Error(), backend.PostgresPassword)
	}
	// The server is known by another name than its certificate has.
	_, err := postgres.Open(ctx, urlOf("waddle.localhost:"+fmt.Sprint(server.Port()), newTable(), trusting), quiet())
	require.ErrorIs(t, err, plugin.ErrOpen)
}

func TestSocketAndPooler(t *testing.T) {
	server := backend.SharedPostgres(t)
	works(t, open(t, fmt.Sprintf("postgres://%s@:%d/%s?host=%s&table=%s", backend.PostgresUser, server.Port(), backend.PostgresDatabase,
		filepath.Dir(server.Socket()), newTable())))
	pooler := backend.PgBouncer(t, server, backend.PgBouncerOptions{Pool: 2})
	p := open(t, urlOf(pooler.Addr(), newTable(), "&synchronous_commit=off"))
	works(t, p)
	pooler.Restart()
	works(t, p)
	require.NoError(t, p.Save(ctx, now))
}

// What was not granted is not reached, whatever the settings say.
func TestGrant(t *testing.T) {
	server := backend.SharedPostgres(t)
	wasm, err := postgres.Module()
	require.NoError(t, err)
	cfg := quiet()
	cfg.Trusted, cfg.MemoryLimit, cfg.Shards = true, 64<<20, 1
	cfg.GuestConfig = map[string]string{"addresses": server.Addr(), "user": backend.PostgresUser, "table": newTable()}
	cfg.Network = plugin.Network{Allow: []string{"tcp://127.0.0.1:1"}, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	_, err = plugin.Open(ctx, wasm, cfg)
	require.ErrorIs(t, err, plugin.ErrOpen)
	require.ErrorContains(t, err, "DENIED")
}

// Several hosts count on few records, many at a time, while the server is killed and started
// again: nothing that was acknowledged is lost, and nothing is done twice.
func TestKilledUnderLoad(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{})
	table := newTable()
	var hosts []*plugin.Plugin
	for range 3 {
		hosts = append(hosts, open(t, urlOf(server.Addr(), table, "&timeout_ms=3000")))
	}
	const keys, workers = 5, 16
	var over atomic.Bool
	var created [keys]atomic.Int64
	var added, unsure atomic.Int64
	var wg sync.WaitGroup
	counter := func(revision, n uint64) []byte {
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, revision), n)
	}
	for w := range workers {
		p := hosts[w%len(hosts)]
		wg.Go(func() {
			for i := w; !over.Load(); i++ {
				key := fmt.Appendf(nil, "counter %d", i%keys)
				old, err := p.Get(ctx, key, now)
				if errors.Is(err, store.ErrNotFound) {
					if err = p.Set(ctx, store.Write{Key: key, Value: counter(1, 0), Now: now, Expect: store.Absent}); err == nil {
						created[i%keys].Add(1)
					}
				} else if err == nil {
					revision := abi.Revision(old)
					err = p.Set(ctx, store.Write{Key: key, Value: counter(revision+1, binary.LittleEndian.Uint64(old[8:])+1), Now: now, Expect: int64(revision)})
					switch {
					case err == nil:
						added.Add(1)
					case errors.Is(err, store.ErrUnavailable):
						unsure.Add(1)
					}
				}
				if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	for i := range 4 {
		before := added.Load()
		require.Eventually(t, func() bool { return added.Load() > before+50 }, 60*time.Second, 5*time.Millisecond, "it recovers by itself")
		if i%2 == 0 {
			server.Kill()
		}
		server.Restart()
	}
	before := added.Load()
	require.Eventually(t, func() bool { return added.Load() > before+50 }, 60*time.Second, 5*time.Millisecond)
	over.Store(true)
	wg.Wait()
	sum := int64(0)
	for k := range keys {
		value, err := hosts[0].Get(ctx, fmt.Appendf(nil, "counter %d", k), now)
		require.NoError(t, err)
		n := binary.LittleEndian.Uint64(value[8:])
		require.Equal(t, n+1, abi.Revision(value))
		require.LessOrEqual(t, created[k].Load(), int64(1))
		sum += int64(n)
	}
	t.Logf("added %d, of %d it is not known; the sum is %d", added.Load(), unsure.Load(), sum)
	require.GreaterOrEqual(t, sum, added.Load(), "something that was acknowledged is lost")
	require.LessOrEqual(t, sum, added.Load()+unsure.Load(), "something was done twice")
	for _, p := range hosts {
		require.Zero(t, p.Stats().Restarts, "no instance failed")
	}
}
