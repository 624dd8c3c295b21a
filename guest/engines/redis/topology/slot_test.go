package topology_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestSlot(t *testing.T) {
	for key, slot := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "{foo}": 12182, "a{foo}b{bar}": 12182, "{}foo": 9500, "a{foo": 113, "}{foo}": 12182,
	} {
		require.Equal(t, slot, topology.Slot([]byte(key)), key)
	}
}

// TestSlotIsTheServers compares with what a server says, for keys full of braces.
func TestSlotIsTheServers(t *testing.T) {
	s := backend.SharedRedis(t, backend.RedisOptions{Settings: []string{"cluster-enabled yes"}})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		key := make([]byte, rng.IntN(12))
		for i := range key {
			if key[i] = byte(rng.Uint32()); rng.IntN(2) == 0 {
				key[i] = "{}a"[rng.IntN(3)]
			}
		}
		require.EqualValues(t, s.Do("CLUSTER", "KEYSLOT", string(key)), topology.Slot(key), "%q", key)
	}
}
