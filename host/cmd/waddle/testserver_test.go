package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestTestOverAServer: a module that keeps its records on a server is granted what the flags
// say, keeps the stores of checks apart there, and is checked for several hosts.
func TestTestOverAServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	server := backend.Redis(t, backend.RedisOptions{})
	wasm, err := redis.Module()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "engine.wasm")
	require.NoError(t, os.WriteFile(file, wasm, 0o600))
	args := []string{"test", file, "--trusted", "--config", "addresses=" + server.Addr(), "--json",
		"--only", "life,shared/namespaces,shared/one-creates"}

	granted := append(args, "--connect", "tcp://"+server.Addr(), "--private", "127.0.0.0/8")
	r := run(t, nil, append(granted, "--namespace", "prefix")...)
	require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
	found := report(t, r.stdout)
	for _, name := range []string{"life/two-stores", "shared/namespaces", "shared/one-creates"} {
		require.Equal(t, storetest.Pass, found.Result(name).Status, name)
	}

	r = run(t, nil, granted...)
	require.NotZero(t, r.code, "without a namespace, two stores have one another's records")
	found = report(t, r.stdout)
	require.Equal(t, storetest.Fail, found.Result("life/two-stores").Status)
	require.Equal(t, "the store is not said to be shared by several hosts", found.Result("shared/one-creates").Reason)

	for _, c := range []struct {
		flags []string
		code  int
		says  string
	}{
		{[]string{"--connect", "tcp://" + server.Addr()}, 2, "reached only if Private lists it"},
		{[]string{"--connect", server.Addr()}, 2, server.Addr()},
		{[]string{"--private", "127.0.0.0/8"}, 2, "--private has no effect without --connect"},
		{[]string{"--connect", "tcp://" + server.Addr(), "--private", "127.0.0.1"}, 2, `--private is "127.0.0.1": must be a range of addresses`},
	} {
		r := run(t, nil, append(args, c.flags...)...)
		require.Equal(t, c.code, r.code, "%v: %s%s", c.flags, r.stdout, r.stderr)
		require.Contains(t, lastLine(r), c.says)
	}
}
