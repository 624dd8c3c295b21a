package redis_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// TestConformance runs a part of the suite on the engine as it is opened by a URL. Its own
// tests run the whole suite natively, over more servers, and TestModule what a module may do
// wrong. WADDLE_CONFORMANCE=full asks for everything.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	server := backend.SharedRedis(t, backend.RedisOptions{})
	wasm, err := redis.Module()
	require.NoError(t, err)
	cfg, err := redis.Configure("redis://"+server.Addr()+"?prefix="+newPrefix(), plugin.Config{Trusted: true})
	require.NoError(t, err)
	o := plugintest.Options{Config: cfg, Namespace: "prefix"}
	if os.Getenv("WADDLE_CONFORMANCE") != "full" {
		o.Options = storetest.Options{Soak: 2000, Sequences: 10, Only: []string{"get", "delete", "save", "limits/largest-value",
			"expect/replace-chain", "restore/into-another", "concurrent"}}
	}
	plugintest.RunModule(t, wasm, o)
}
