package topology_test

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// inCluster returns a caller that knows one node of a cluster.
func inCluster(t *testing.T, g *backend.RedisCluster, d *dialer) *caller {
	nodes := topology.Cluster(topology.Options{Addresses: g.Addrs()[:1], Prefix: []byte(prefix), Dial: d.dial})
	t.Cleanup(nodes.Close)
	return &caller{nodes: nodes}
}

// slotOf is the slot of a key on the servers.
func slotOf(key string) int { return topology.Slot([]byte(prefix + key)) }

func TestClusterIsFollowed(t *testing.T) {
	t.Parallel()
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			g := backend.Cluster(t, backend.ClusterOptions{Program: program, Password: "secret"})
			d := &dialer{password: "secret"}
			c := inCluster(t, g, d)
			c.set(t, 500)
			require.Equal(t, 1, c.rounds, "the map is right from the beginning")
			require.Len(t, d.dialled, 3)
			conns, err := c.nodes.Masters()
			require.NoError(t, err)
			require.Len(t, conns, 3)

			t.Run("a map that is all wrong", func(t *testing.T) {
				topology.Confuse(c.nodes)
				c.set(t, 500)
				require.Equal(t, 2, c.rounds, "each command is redirected once")
				c.set(t, 500)
				require.Equal(t, 1, c.rounds)
			})
			t.Run("a slot that is moving", func(t *testing.T) {
				slot := slotOf("k7")
				to := g.Nodes[0]
				if g.Master(slot) == to {
					to = g.Nodes[1]
				}
				move, err := g.Begin(slot, to)
				require.NoError(t, err)
				require.Equal(t, "7", c.one(t, "GET", "k7"))
				require.Equal(t, 1, c.rounds)
				for n := 1; n > 0; {
					n, err = move.Keys(100)
					require.NoError(t, err)
				}
				for range 3 {
					require.Equal(t, "7", c.one(t, "GET", "k7"), "the key has moved, the slot has not")
					require.Equal(t, 2, c.rounds, "each command is asked for once")
				}
				require.NoError(t, move.Finish())
				require.Equal(t, "7", c.one(t, "GET", "k7"))
				require.Equal(t, 2, c.rounds)
				require.Equal(t, "7", c.one(t, "GET", "k7"))
				require.Equal(t, 1, c.rounds)
			})
		})
	}
}

// meanwhile does something again and again, until stop is called or the test ends.
func meanwhile(t *testing.T, do func(i int)) (stop func()) {
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; !over.Load(); i++ {
			do(i)
		}
	}()
	stop = func() {
		over.Store(true)
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func TestClusterMovesSlotsUnderLoad(t *testing.T) {
	t.Parallel()
	g := backend.Cluster(t, backend.ClusterOptions{})
	c := inCluster(t, g, new(dialer))
	const keys = 30
	moved := atomic.Int64{}
	stop := meanwhile(t, func(i int) {
		g.Move(slotOf("k"+strconv.Itoa(i%keys)), g.Nodes[(i/keys+i)%3])
		moved.Add(1)
	})
	want := make([]int64, keys)
	deadline := time.Now().Add(time.Minute)
	for moved.Load() < 60 && time.Now().Before(deadline) {
		commands := make([]*command, 0, 3*keys)
		for i := range 3 * keys {
			commands = append(commands, &command{args: []string{"INCR", "k" + strconv.Itoa(i%keys)}})
		}
		c.do(commands...)
		for i, m := range commands {
			require.NoError(t, m.err)
			want[i%keys]++
			if i >= 2*keys {
				// Commands that are sent again may change places, so only the last of a
				// key's three answers is known to be among the last.
				require.LessOrEqual(t, m.answer.(int64), want[i%keys])
			}
		}
	}
	stop()
	require.GreaterOrEqual(t, moved.Load(), int64(60))
	for i := range keys {
		require.Equal(t, strconv.FormatInt(want[i], 10), c.one(t, "GET", "k"+strconv.Itoa(i)), "each was done once")
	}
}

func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	g := backend.Cluster(t, backend.ClusterOptions{Replicas: 1})
	c := inCluster(t, g, new(dialer))
	c.set(t, 100)
	slot := slotOf("k1")
	for round, end := range []func(*backend.Server){
		func(s *backend.Server) { s.Kill() },
		func(s *backend.Server) { s.Pause() },
	} {
		old := g.Master(slot)
		for _, s := range g.Nodes {
			if s.PID() != 0 && s.Info("role") == "master" {
				s.Do("WAIT", "1", "1000")
			}
		}
		c.timeout = time.Second
		end(old)
		_, err := c.try("GET", "k1")
		require.Error(t, err)
		require.Eventually(t, func() bool {
			began := time.Now()
			_, err := c.try("GET", "k1")
			require.Less(t, time.Since(began), 3*time.Second, "errors are quick")
			return err == nil
		}, time.Minute, 10*time.Millisecond)
		if round == 0 {
			old.Restart()
			g.Await()
		} else {
			old.Resume()
			g.Await()
		}
		c.timeout = 0
		c.set(t, 100)
	}
	// An administrator's fail-over is noticed by nobody.
	master := g.Master(slot)
	replica := g.Replica(master)
	stop := make(chan struct{})
	go func() {
		g.Failover(replica)
		close(stop)
	}()
	for running := true; running; {
		select {
		case <-stop:
			running = false
		default:
		}
		c.set(t, 100)
	}
}

// TestClusterNodeHangs shows that a master that does not answer takes only its own keys
// with it.
func TestClusterNodeHangs(t *testing.T) {
	t.Parallel()
	g := backend.Cluster(t, backend.ClusterOptions{NodeTimeout: time.Minute})
	c := inCluster(t, g, new(dialer))
	c.set(t, 300)
	hung := g.Master(slotOf("k0"))
	hung.Pause()
	c.timeout = 500 * time.Millisecond
	for range 2 {
		commands := make([]*command, 300)
		for i := range commands {
			commands[i] = &command{args: []string{"GET", "k" + strconv.Itoa(i)}}
		}
		began := time.Now()
		c.do(commands...)
		require.Less(t, time.Since(began), 3*time.Second)
		for i, m := range commands {
			if g.Nodes[slotOf("k"+strconv.Itoa(i))*3/topology.Slots] == hung {
				require.Error(t, m.err)
			} else {
				require.NoError(t, m.err)
				require.Equal(t, strconv.Itoa(i), m.answer)
			}
		}
	}
	// It is not waited for in each call.
	began := time.Now()
	for range 100 {
		_, err := c.try("GET", "k0")
		require.Error(t, err)
	}
	require.Less(t, time.Since(began), 5*time.Second)
	hung.Resume()
	require.Eventually(t, func() bool {
		_, err := c.try("GET", "k0")
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

func TestClusterAnnouncesOtherAddresses(t *testing.T) {
	t.Parallel()
	// The nodes tell a port that only proxies listen on, and a name instead of an address.
	var proxies []*backend.Proxy
	g := backend.Cluster(t, backend.ClusterOptions{
		Announce: func(port int) []string {
			p := backend.NewProxy(t, "127.0.0.1:"+strconv.Itoa(port))
			proxies = append(proxies, p)
			return []string{
				"cluster-announce-port " + strconv.Itoa(p.Port()),
				"cluster-announce-hostname localhost",
				"cluster-preferred-endpoint-type hostname",
			}
		},
	})
	d := new(dialer)
	c := inCluster(t, g, d)
	c.set(t, 100)
	for _, address := range d.dialled[1:] {
		require.True(t, strings.HasPrefix(address, "localhost:"), address)
	}
	for _, p := range proxies {
		taken, _ := p.Connections()
		require.EqualValues(t, 1, taken)
	}
	topology.Confuse(c.nodes)
	c.set(t, 100)
}

func TestClusterOverTLS(t *testing.T) {
	certs := backend.NewCertificates(t)
	trust(t, certs)
	g := backend.Cluster(t, backend.ClusterOptions{TLS: certs})
	c := inCluster(t, g, &dialer{tls: true})
	c.set(t, 100)
	topology.Confuse(c.nodes)
	c.set(t, 100)
}

func TestClusterEnumeration(t *testing.T) {
	t.Parallel()
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			g := backend.Cluster(t, backend.ClusterOptions{Program: program})
			c := inCluster(t, g, new(dialer))
			const keys = 2000
			c.set(t, keys)
			found, err := c.scan(nil)
			require.NoError(t, err)
			require.Len(t, found, keys)

			// Slots that move from a server that is not enumerated yet to one that was.
			moved := 0
			found, err = c.scan(func(page int) {
				if page > 12 && moved < 40 {
					moved++
					g.Move(topology.Slots-moved, g.Nodes[0])
				}
			})
			require.NoError(t, err)
			require.Equal(t, 40, moved)
			require.Len(t, found, keys)

			// The same, where redirects of other commands say so before the end.
			var last []string
			for i := range keys {
				if key := "k" + strconv.Itoa(i); g.Nodes[2] == g.Master(slotOf(key)) && len(last) < 20 {
					last = append(last, key)
				}
			}
			found, err = c.scan(func(page int) {
				if page > 14 && len(last) > 0 {
					g.Move(slotOf(last[0]), g.Nodes[0])
					c.one(t, "GET", last[0])
					last = last[1:]
				}
			})
			require.NoError(t, err)
			require.Empty(t, last)
			require.Len(t, found, keys)
		})
	}
}
