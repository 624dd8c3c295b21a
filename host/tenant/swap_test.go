package tenant_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func suiteClock() time.Time { return storetest.Now.Time() }

// openTenant deploys a tenant of its own host for the suite, and tells of it.
func openTenant(t *testing.T, m tenant.Manifest, opened func(ctx context.Context, h *tenant.Host, m tenant.Manifest)) storetest.Open {
	return func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		m := m
		m.Limits.Memory = tenant.Bytes(max(setup.MemoryLimit, 32<<20))
		h, err := tenant.NewHost(tenant.HostConfig{Logger: discard, Dir: setup.Dir}.WithClock(suiteClock).Tuned(func(c *plugin.Config) {
			c.SweepInterval = -1 // the sweeper's clock is the host's, and some checks have others
		}))
		require.NoError(t, err)
		made, err := h.Deploy(ctx, m)
		if err != nil {
			return nil, err
		}
		live, cancel := context.WithCancel(ctx)
		var wait sync.WaitGroup
		if opened != nil {
			wait.Go(func() { opened(live, h, m) })
		}
		return closing{made.Store(), func(ctx context.Context) error {
			cancel()
			wait.Wait()
			return h.Close(ctx)
		}}, nil
	}
}

// closing is a tenant's store whose Close closes the tenant's host.
type closing struct {
	store.Store
	close func(ctx context.Context) error
}

func (c closing) Unwrap() store.Store { return c.Store }

// Close implements store.Closer.
func (c closing) Close(ctx context.Context) error { return c.close(ctx) }

// GetInto implements store.Bounded.
func (c closing) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	return store.AtMost(c.Store).GetInto(ctx, key, now, into, most)
}

// The store of a tenant passes the whole suite.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	m := tenant.Manifest{Name: "alice", Plugin: source(guest(t, "c"))}
	storetest.Run(t, openTenant(t, m, nil), storetest.Options{Target: "tenant", MaxValue: 1 << 20})
}

// So it does while its plugin is replaced again and again.
func TestConformanceWhileReplacing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	languages := [][]byte{guest(t, "c"), guest(t, "rust")}
	var replaced, failed int
	var mu sync.Mutex
	m := tenant.Manifest{Name: "alice", Plugin: source(languages[0])}
	open := openTenant(t, m, func(ctx context.Context, h *tenant.Host, m tenant.Manifest) {
		for i := 1; ctx.Err() == nil; i++ {
			m.Plugin = source(languages[i%2])
			_, err := h.Deploy(ctx, m)
			mu.Lock()
			if err == nil {
				replaced++
			} else if ctx.Err() == nil {
				failed++
				t.Log(err)
			}
			mu.Unlock()
		}
	})
	storetest.Run(t, open, storetest.Options{Target: "tenant, replaced", Soak: 20_000, Sequences: 20, MaxValue: 1 << 20})
	require.Greater(t, replaced, 100)
	require.Zero(t, failed)
	t.Log("replaced", replaced)
}
