package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestSentinel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, program string) {
		t.Parallel()
		g := backend.Sentinel(t, backend.SentinelOptions{Program: program, Password: "secret", SentinelPassword: "watched"})
		require.Len(t, g.Addrs(), 3)
		first := g.Master()
		require.Same(t, g.Servers[0], first)
		first.Do("SET", "a", "1")
		require.Equal(t, int64(1), first.Do("WAIT", "1", "10000"))

		first.Kill()
		second := g.AwaitMaster(first)
		require.Same(t, g.Servers[1], second)
		require.Equal(t, "1", second.Do("GET", "a"))

		g.Rejoin(first)
		require.Equal(t, "1", first.Do("GET", "a"))
		require.Same(t, first, g.Failover())
	})
}
