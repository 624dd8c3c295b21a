package main

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func start(t *testing.T, p peer, workers int) *application {
	t.Helper()
	a, err := startPeer(context.Background(), p, t.TempDir(), workers)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.server.close()) })
	return a
}

// Every peer keeps the sessions of all visitors while several goroutines make
// requests, and every write arrives.
func TestPeersDoTheWork(t *testing.T) {
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			const workers = 4
			a := start(t, p, workers)
			for _, op := range measured {
				if !p.does(op) {
					continue
				}
				for _, c := range a.cells(op, []int{1, 2}) {
					var wg sync.WaitGroup
					for w := range c.workers {
						wg.Go(func() { c.run(w, 70) })
					}
					wg.Wait()
				}
			}
			require.NoError(t, a.verify())
		})
	}
}

// The faults that verification must find, done to each peer.
func TestVerifyFinds(t *testing.T) {
	for _, p := range peers() {
		if !p.keeps {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			a := start(t, p, 1)

			a.counts[5]++
			require.ErrorContains(t, a.verify(), userName(5), "a write got lost")
			a.counts[5]--
			require.NoError(t, a.resync(t))

			a.clients[3], a.clients[4] = a.clients[4], a.clients[3]
			require.ErrorContains(t, a.verify(), userName(3), "visitors have each other's sessions")
			a.clients[3], a.clients[4] = a.clients[4], a.clients[3]
			require.NoError(t, a.resync(t))

			stranger, err := a.server.login("nobody@example.org")
			require.NoError(t, err)
			a.clients[7] = stranger
			for range 3 {
				stranger.request(opRead)
			}
			require.ErrorContains(t, a.verify(), "3 requests went wrong", "a handler reads a wrong value")
		})
	}
}

// resync reads the counters again, since a verification that failed half-way
// has left them behind, and verifies.
func (a *application) resync(t *testing.T) error {
	for n, c := range a.clients {
		body, err := c.fetch(opInspect)
		require.NoError(t, err)
		for a.counts[n] = 0; body != expected(userName(n), a.counts[n]); a.counts[n]++ {
			require.Less(t, a.counts[n], 100, "%s", body)
		}
	}
	return a.verify()
}

func TestCountStoreCalls(t *testing.T) {
	for _, c := range []struct {
		op   operation
		want int
	}{{opUnused, 0}, {opRead, 10}, {opWrite, 20}} {
		n, err := countStoreCalls(context.Background(), c.op, 10)
		require.NoError(t, err)
		require.Equal(t, c.want, n, "%v", c.op)
	}
}
