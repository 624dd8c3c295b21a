package redis_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// TestModule runs what only a module can do wrong, over one server: the checks of guests
// whose records lie elsewhere call several instances, and those of several hosts have a plugin for each.
func TestModule(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	server := backend.SharedRedis(t, backend.RedisOptions{})
	wasm, err := redis.Module()
	require.NoError(t, err)
	o := plugintest.Options{
		Settings:  map[string]string{"addresses": server.Addr()},
		Namespace: "prefix",
		Config: plugin.Config{Trusted: true, Network: plugin.Network{
			Allow: []string{"tcp://" + server.Addr()}, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		}},
		Options: storetest.Options{Only: []string{"module", "instance", "export", "remote", "shared"}, Sequences: 10},
	}
	plugintest.RunModule(t, wasm, o)
}
