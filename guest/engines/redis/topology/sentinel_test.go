package topology_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// underSentinel returns a caller that knows the sentinels. Both kinds of servers have
// passwords of their own.
func underSentinel(t *testing.T, g *backend.RedisSentinel, server, sentinel *dialer) *caller {
	nodes := topology.Sentinel(topology.Options{
		Addresses: g.Addrs(), Master: g.Name, Prefix: []byte(prefix), Dial: server.dial, DialSentinel: sentinel.dial,
	})
	t.Cleanup(nodes.Close)
	return &caller{nodes: nodes, timeout: 2 * time.Second}
}

func (c *caller) recovers(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		began := time.Now()
		_, err := c.try("SET", "a", "again")
		require.Less(t, time.Since(began), 5*time.Second, "errors are quick")
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

func TestSentinelIsFollowed(t *testing.T) {
	t.Parallel()
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			g := backend.Sentinel(t, backend.SentinelOptions{Program: program, Password: "secret", SentinelPassword: "watched"})
			servers, sentinels := &dialer{password: "secret"}, &dialer{password: "watched"}
			c := underSentinel(t, g, servers, sentinels)
			c.set(t, 100)
			c.set(t, 100)
			require.Len(t, servers.dialled, 1)
			require.Len(t, sentinels.dialled, 1, "nobody is asked while there is a connection")

			// After an administrator's fail-over the old master keeps the connection and
			// takes writes for long. It is left as soon as a sentinel knows better.
			first := g.Master()
			second := g.Failover()
			require.Eventually(t, func() bool {
				c.one(t, "SET", "a", "again")
				return servers.dialled[len(servers.dialled)-1] == second.Addr()
			}, time.Minute, 10*time.Millisecond)
			require.Equal(t, "master", first.Info("role"))

			// The master is killed, and so is the sentinel that was asked last.
			g.Rejoin(first)
			for _, s := range g.Sentinels {
				if s.Addr() == sentinels.dialled[len(sentinels.dialled)-1] {
					s.Kill()
				}
			}
			second.Kill()
			_, err := c.try("GET", "a")
			require.Error(t, err)
			c.recovers(t)
			require.Same(t, first, g.AwaitMaster(second))
		})
	}
}

func TestSentinelMasterHangs(t *testing.T) {
	t.Parallel()
	g := backend.Sentinel(t, backend.SentinelOptions{})
	c := underSentinel(t, g, new(dialer), new(dialer))
	c.timeout = 500 * time.Millisecond
	c.set(t, 10)
	hung := g.Master()
	hung.Pause()
	_, err := c.try("GET", "k1")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	c.recovers(t)
	// It wakes up, takes itself for the master for a while, and nobody listens.
	hung.Resume()
	for range 100 {
		c.one(t, "SET", "a", "b")
	}
	require.Equal(t, "b", g.AwaitMaster(hung).Do("GET", prefix+"a"))
}

// TestSentinelIsWrong shows that the server itself has the last word on whether it is the
// master, and that a replica that took a write as a master is left.
func TestSentinelIsWrong(t *testing.T) {
	t.Parallel()
	master := backend.Redis(t, backend.RedisOptions{})
	replica := backend.Redis(t, backend.RedisOptions{ReplicaOf: master})
	stale := fake(t, func(args []string) string { return addressReply(replica.Addr()) })
	right := fake(t, func(args []string) string { return addressReply(master.Addr()) })
	unknowing := fake(t, func(args []string) string { return "*-1\r\n" })
	broken := fake(t, func(args []string) string { return "+what?\r\n" })

	servers, sentinels := new(dialer), new(dialer)
	options := topology.Options{Master: "main", Prefix: []byte(prefix), Dial: servers.dial, DialSentinel: sentinels.dial}
	open := func(addresses ...string) *caller {
		options.Addresses = addresses
		nodes := topology.Sentinel(options)
		t.Cleanup(nodes.Close)
		return &caller{nodes: nodes, timeout: 2 * time.Second}
	}
	c := open(stale, unknowing, broken, right)
	c.one(t, "SET", "a", "1")
	require.Equal(t, "1", master.Do("GET", prefix+"a"))

	_, err := open(stale).try("GET", "a")
	require.ErrorContains(t, err, "it says that it is not the master")
	_, err = open(unknowing).try("GET", "a")
	require.ErrorContains(t, err, `no master named "main"`)
	_, err = open(broken).try("GET", "a")
	require.ErrorContains(t, err, "no address")

	// The master becomes a replica, and the connection stays.
	replica.Do("REPLICAOF", "NO", "ONE")
	master.Do("REPLICAOF", "127.0.0.1", replica.Addr()[len("127.0.0.1:"):])
	c = open(stale, right)
	c.one(t, "SET", "a", "2")
	replica.Do("REPLICAOF", "127.0.0.1", master.Addr()[len("127.0.0.1:"):])
	master.Do("REPLICAOF", "NO", "ONE")
	m := &command{args: []string{"SET", "a", "3"}}
	c.do(m)
	require.NoError(t, m.err)
	require.Equal(t, "3", master.Do("GET", prefix+"a"))

	// The address is one that the plugin was not granted.
	forbidden := errors.New("not granted")
	servers.refuse = func(address string) error { return forbidden }
	_, err = open(right, stale).try("GET", "a")
	require.ErrorIs(t, err, forbidden)
	require.ErrorContains(t, err, master.Addr())
	require.NotContains(t, err.Error(), "\n")
}

func TestSentinelEnumeration(t *testing.T) {
	t.Parallel()
	g := backend.Sentinel(t, backend.SentinelOptions{})
	c := underSentinel(t, g, new(dialer), new(dialer))
	const keys = 3000
	c.set(t, keys)
	g.Master().Do("WAIT", "1", "10000")
	found, err := c.scan(nil)
	require.NoError(t, err)
	require.Len(t, found, keys)
	// Another server has another order.
	found, err = c.scan(func(page int) {
		if page == 20 {
			g.Failover()
			c.recovers(t)
		}
	})
	require.NoError(t, err)
	for i := range keys {
		require.Contains(t, found, prefix+"k"+itoa(i))
	}
}

// TestStandaloneEnumeration restarts the server within an enumeration: its new process has
// an order of its own.
func TestStandaloneEnumeration(t *testing.T) {
	t.Parallel()
	s := backend.Redis(t, backend.RedisOptions{Persist: true})
	d := new(dialer)
	nodes := topology.Standalone(topology.Options{Addresses: []string{s.Addr()}, Prefix: []byte(prefix), Dial: d.dial})
	t.Cleanup(nodes.Close)
	c := &caller{nodes: nodes}
	const keys = 3000
	c.set(t, keys)
	found, err := c.scan(nil)
	require.NoError(t, err)
	require.Len(t, found, keys)
	found, err = c.scan(func(page int) {
		if page == 20 {
			s.Kill()
			s.Restart()
		}
	})
	require.NoError(t, err)
	require.Len(t, found, keys)
	_, _, err = nodes.Scan(-1)
	require.ErrorIs(t, err, topology.ErrPlace)
	_, _, err = nodes.Scan(1)
	require.ErrorIs(t, err, topology.ErrPlace)
}

func TestStandaloneWaitsForAServerThatIsNotReady(t *testing.T) {
	t.Parallel()
	count := 0
	server := fake(t, func([]string) string {
		if count++; count <= 3 {
			return "-LOADING Redis is loading the dataset in memory\r\n"
		}
		return "+OK\r\n"
	})
	d := new(dialer)
	nodes := topology.Standalone(topology.Options{Addresses: []string{server}, Dial: d.dial})
	t.Cleanup(nodes.Close)
	c := &caller{nodes: nodes}
	began := time.Now()
	c.one(t, "SET", "a", "1")
	require.Equal(t, 4, c.rounds)
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
	require.Len(t, d.dialled, 1)

	conn, asking, err := nodes.Redirect(resp.Error("ERR syntax"), []byte("a"))
	require.NoError(t, err)
	require.False(t, asking)
	require.Nil(t, conn)
}
