package backend_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// slotOfFoo is the slot of the key "foo".
const slotOfFoo = 12182

func TestCluster(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, program string) {
		t.Parallel()
		g := backend.Cluster(t, backend.ClusterOptions{Program: program, Replicas: 1, Password: "secret"})
		require.Len(t, g.Nodes, 6)
		master := g.Master(slotOfFoo)
		require.Same(t, g.Nodes[2], master)
		_, err := g.Nodes[0].Command("SET", "foo", "1")
		require.EqualError(t, err, "MOVED "+strconv.Itoa(slotOfFoo)+" "+master.Addr())
		master.Do("SET", "foo", "1")
		require.Equal(t, int64(1), master.Do("WAIT", "1", "10000"))

		replica := g.Replica(master)
		require.Contains(t, g.Nodes[3:], replica)
		master.Kill()
		require.Same(t, replica, g.AwaitMaster(slotOfFoo, master))
		replica.Do("SET", "foo", "2")
		master.Restart()
		g.Await()
		require.Same(t, master, g.Replica(replica))
		g.Failover(master)
		require.Same(t, master, g.Master(slotOfFoo))
		require.Equal(t, "2", master.Do("GET", "foo"))
	})
}

func TestSlotsMove(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, program string) {
		t.Parallel()
		g := backend.Cluster(t, backend.ClusterOptions{Program: program})
		from, to := g.Master(slotOfFoo), g.Nodes[0]
		for i := range 25 {
			from.Do("SET", "{foo}"+strconv.Itoa(i), "x")
		}
		move, err := g.Begin(slotOfFoo, to)
		require.NoError(t, err)
		n, err := move.Keys(10)
		require.NoError(t, err)
		require.Equal(t, 10, n)
		asked := 0
		for i := range 25 {
			_, err := from.Command("GET", "{foo}"+strconv.Itoa(i))
			if err != nil {
				require.True(t, strings.HasPrefix(err.Error(), "ASK "), err)
				asked++
			}
		}
		require.Equal(t, 10, asked)
		for n > 0 {
			n, err = move.Keys(10)
			require.NoError(t, err)
		}
		require.NoError(t, move.Finish())
		require.Same(t, to, g.Master(slotOfFoo))
		require.Equal(t, "x", to.Do("GET", "{foo}24"))
		g.Await()

		g.Move(slotOfFoo, g.Nodes[1])
		require.Equal(t, "x", g.Nodes[1].Do("GET", "{foo}24"))
	})
}

func TestClusterOverTLS(t *testing.T) {
	t.Parallel()
	g := backend.Cluster(t, backend.ClusterOptions{TLS: backend.NewCertificates(t)})
	g.Master(slotOfFoo).Do("SET", "foo", "1")
	g.Move(slotOfFoo, g.Nodes[0])
	require.Equal(t, "1", g.Nodes[0].Do("GET", "foo"))
}
