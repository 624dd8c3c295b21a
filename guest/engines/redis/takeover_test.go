package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// counting are hosts that count in the same records, each with an engine of its own, by
// compare-and-set.
type counting struct {
	t     *testing.T
	keys  int
	saves bool // an increment counts only when it was saved

	mu           sync.Mutex
	acknowledged []uint64 // increments of each key
	doubtful     []uint64 // that may have been done
	failures     atomic.Int64
}

func newCounting(t *testing.T, keys int) *counting {
	return &counting{t: t, keys: keys, acknowledged: make([]uint64, keys), doubtful: make([]uint64, keys)}
}

func (c *counting) key(n int) []byte { return fmt.Appendf(nil, "counter %d", n) }

// run counts with so many hosts while do runs.
func (c *counting) run(hosts int, settings []string, do func()) {
	var over atomic.Bool
	var wg sync.WaitGroup
	for host := range hosts {
		e := new(engine)
		require.NoError(c.t, e.Open(guest.NewConfig(settings...)))
		c.t.Cleanup(e.Close)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := host; !over.Load(); n++ {
				c.increment(e, n%c.keys)
			}
		}()
	}
	do()
	over.Store(true)
	wg.Wait()
}

// increment adds one to a counter, once.
func (c *counting) increment(e *engine, n int) {
	for {
		old, err := e.Get(c.key(n), now)
		w := guest.Write{Key: c.key(n), Now: now, Expect: abi.ExpectAbsent}
		count := uint64(0)
		switch {
		case err == nil:
			count = binary.LittleEndian.Uint64(old[8:])
			w.Expect = int64(abi.Revision(old))
		case err != guest.ErrNotFound:
			c.failed(err)
			continue
		}
		// Hosts that compete choose the same revision, as those of sessions do.
		w.Value = binary.LittleEndian.AppendUint64(nil, max(1, uint64(w.Expect+1)))
		w.Value = binary.LittleEndian.AppendUint64(w.Value, count+1)
		err = e.Set(w)
		if err == nil && c.saves {
			err = e.Save(now)
		}
		switch {
		case err == nil:
			c.note(c.acknowledged, n)
			return
		case err == guest.ErrConflict:
			continue
		}
		c.note(c.doubtful, n)
		c.failed(err)
		return
	}
}

func (c *counting) note(list []uint64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list[n]++
}

// failed requires that an error says that the same may succeed later.
func (c *counting) failed(err error) {
	c.failures.Add(1)
	if !errors.Is(err, guest.ErrUnavailable) {
		c.t.Errorf("an error that is not UNAVAILABLE: %v", err)
	}
	time.Sleep(5 * time.Millisecond)
}

// total returns how many increments were acknowledged.
func (c *counting) total() (n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, count := range c.acknowledged {
		n += count
	}
	return n
}

// check requires that each counter has what was acknowledged, and at most what is in doubt
// beyond.
func (c *counting) check(e *engine) {
	for n := range c.keys {
		var got []byte
		require.Eventually(c.t, func() (ok bool) {
			value, err := e.Get(c.key(n), now)
			got = value
			return err == nil
		}, 20*time.Second, 10*time.Millisecond)
		count := binary.LittleEndian.Uint64(got[8:])
		require.GreaterOrEqual(c.t, count, c.acknowledged[n], "acknowledged increments of counter %d are lost", n)
		require.LessOrEqual(c.t, count, c.acknowledged[n]+c.doubtful[n], "increments of counter %d were done twice", n)
	}
}

// await waits until so many more increments were acknowledged.
func (c *counting) await(more uint64) {
	from := c.total()
	require.Eventually(c.t, func() bool { return c.total() >= from+more }, time.Minute, time.Millisecond)
}

// TestSlotsMove: while slots move from node to node, hosts go on counting, and nobody
// misses a key or meets an error.
func TestSlotsMove(t *testing.T) {
	g := backend.Cluster(t, backend.ClusterOptions{})
	prefix := newPrefix()
	settings := []string{"addresses", g.Addrs()[0], "mode", "cluster", "prefix", prefix}
	c := newCounting(t, 10)
	h, e, err := tryStart(t, settings...)
	require.NoError(t, err)
	stay := 300
	for n := range stay {
		require.NoError(t, h.Set(set(fmt.Sprintf("stays %d", n), "text", 1, abi.ExpectAny)))
	}
	c.run(3, settings, func() {
		for i := range 60 {
			slot := topology.Slot(append([]byte(prefix), c.key(i%c.keys)...))
			g.Move(slot, g.Nodes[(i/c.keys+i)%len(g.Nodes)])
			slot = topology.Slot([]byte(prefix + fmt.Sprintf("stays %d", i)))
			g.Move(slot, g.Nodes[i%len(g.Nodes)])
			if i%20 == 0 {
				require.Len(t, all(t, h, "stays"), stay, "a key was not named that was there all the time")
			}
		}
		c.await(100)
	})
	require.Zero(t, c.failures.Load(), "nobody meets an error")
	c.check(e)
	require.NoError(t, h.Clear(now))
	require.Empty(t, all(t, h, ""))
}

// all returns the keys that begin with a text, each once.
func all(t *testing.T, h *guest.Harness, begin string) map[string]bool {
	found := make(map[string]bool)
	for cursor := int64(0); ; {
		keys, next, err := h.Keys(cursor, now)
		require.NoError(t, err)
		for _, key := range keys {
			if strings.HasPrefix(string(key), begin) {
				found[string(key)] = true
			}
		}
		if cursor = next; cursor == 0 {
			return found
		}
	}
}

// TestMasterFailsOver: a master ends, and its replica takes over, in a cluster and with
// Sentinels. Writes fail meanwhile, in a typed way, then go on without anybody's doing. What
// was saved with wait_replicas is there afterwards; no increment is done twice.
func TestMasterFailsOver(t *testing.T) {
	t.Run("cluster", func(t *testing.T) {
		g := backend.Cluster(t, backend.ClusterOptions{Replicas: 1})
		prefix := newPrefix()
		settings := []string{"addresses", strings.Join(g.Addrs(), ","), "mode", "cluster", "prefix", prefix, "wait_replicas", "1", "timeout_ms", "1000"}
		c := newCounting(t, 10)
		c.saves = true
		_, e, err := tryStart(t, settings...)
		require.NoError(t, err)
		slot := topology.Slot(append([]byte(prefix), c.key(0)...))
		c.run(3, settings, func() {
			c.await(50)
			old := g.Master(slot)
			old.Kill()
			g.AwaitMaster(slot, old)
			// A master without a replica cannot save: the old one comes back as one.
			old.Restart()
			c.await(100)
		})
		require.Positive(t, c.failures.Load())
		c.check(e)
	})
	t.Run("sentinel", func(t *testing.T) {
		g := backend.Sentinel(t, backend.SentinelOptions{Replicas: 2})
		settings := []string{"addresses", strings.Join(g.Addrs(), ","), "mode", "sentinel", "master", g.Name, "prefix", newPrefix(),
			"wait_replicas", "1", "timeout_ms", "1000"}
		c := newCounting(t, 10)
		c.saves = true
		_, e, err := tryStart(t, settings...)
		require.NoError(t, err)
		c.run(3, settings, func() {
			c.await(50)
			old := g.Master()
			old.Kill()
			g.AwaitMaster(old)
			c.await(100)
		})
		require.Positive(t, c.failures.Load())
		c.check(e)
	})
}

// TestLeastPermissions: what README.md says that a user must be permitted is enough, also
// with Sentinels, in a cluster, and for waiting.
func TestLeastPermissions(t *testing.T) {
	user := "least on >" + secret + " ~waddle:* " + permitted + " +wait"
	t.Run("cluster", func(t *testing.T) {
		g := backend.Cluster(t, backend.ClusterOptions{Users: []string{user + " +asking +cluster|slots"}, Replicas: 1})
		h, _, err := tryStart(t, "addresses", g.Addrs()[0], "mode", "cluster", "user", "least", "password", secret, "wait_replicas", "1", "wait_ms", "10000")
		require.NoError(t, err)
		works(t, h)
		slot := topology.Slot([]byte("waddle:key"))
		require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
		to := g.Nodes[0]
		if g.Master(slot) == to {
			to = g.Nodes[1]
		}
		move, err := g.Begin(slot, to)
		require.NoError(t, err)
		_, err = move.Keys(10)
		require.NoError(t, err)
		got, err := h.Get([]byte("key"), now)
		require.NoError(t, err, "ASKING is permitted")
		require.Equal(t, value(1, "text"), got)
		require.NoError(t, move.Finish())
	})
	t.Run("sentinel", func(t *testing.T) {
		g := backend.Sentinel(t, backend.SentinelOptions{Users: []string{user + " +role"}, SentinelUsers: []string{"asks on >" + secret + " +sentinel|get-master-addr-by-name"}})
		h, _, err := tryStart(t, "addresses", strings.Join(g.Addrs(), ","), "mode", "sentinel", "master", g.Name, "user", "least", "password", secret,
			"sentinel_user", "asks", "sentinel_password", secret, "wait_replicas", "1", "wait_ms", "10000")
		require.NoError(t, err)
		works(t, h)
	})
}
