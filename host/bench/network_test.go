package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// The stores that our engines are compared with keep the rules that our engines keep.
func TestNativeStores(t *testing.T) {
	t.Run("Redis", func(t *testing.T) {
		server := backend.Redis(t, backend.RedisOptions{})
		storetest.Run(t, func(ctx context.Context, _ storetest.Setup) (store.Store, error) {
			client := redis.NewClient(&redis.Options{Addr: server.Addr()})
			return &redisStore{client}, client.FlushDB(ctx).Err()
		}, nativeChecks)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		s := &servers{postgres: backend.Postgres(t, backend.PostgresOptions{})}
		storetest.Run(t, func(ctx context.Context, _ storetest.Setup) (store.Store, error) {
			pool, err := postgresPool(ctx, s, postgresTable+"; TRUNCATE native_sessions")
			if err != nil {
				return nil, err
			}
			return &postgresStore{pool}, nil
		}, nativeChecks)
	})
}

// nativeChecks are those of what the benchmark does. The stores have one table, so none that
// opens two at once.
var nativeChecks = storetest.Options{Only: []string{"get", "set", "expect", "delete", "expiry"}, Skip: []string{"set/sizes", "expiry/negative-times"}}

func checkNetwork(t *testing.T, n *networkResult) {
	t.Helper()
	for _, b := range networkPeers() {
		if why := n.Notes[b.name]; why != "" {
			require.NotEqual(t, "true", os.Getenv("CI"), why)
			require.True(t, strings.HasPrefix(why, "SKIPPED"))
			t.Log(why)
			continue
		}
		for _, p := range b.peers {
			for _, op := range []operation{opRead, opWrite} {
				for _, callers := range []int{1, 4} {
					r := n.find(p.name, op.String(), callers)
					require.NotNil(t, r, "%s %v %d", p.name, op, callers)
					require.Positive(t, r.P50*r.P99*r.Rate*r.RatioP50*r.RatioTime)
				}
			}
		}
	}
	for _, s := range n.Starts {
		require.Positive(t, s.Cold*s.Cached*float64(s.Packed)*float64(s.Memory), s.Subject)
	}
}

func TestNetworkTargets(t *testing.T) {
	n := &networkResult{
		Rows: []networkRow{
			{Subject: nameSCSRedis, Operation: "write", Callers: 1, RatioP50: 0.5},
			{Subject: nameSCSRedis, Operation: "write", Callers: targetNetworkCallers, RatioTime: 5, RatioCPU: 4},
		},
		Starts: []networkStart{{Subject: nameRedisEngine, Packed: 2_000_000, Cached: 1e6}},
	}
	var found []bool
	judgeNetwork(n, func(met bool, _, _ string, _ ...any) { found = append(found, met) })
	require.Equal(t, []bool{false, true, true, true, false}, found)
}
