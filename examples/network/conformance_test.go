// Package network_test runs the conformance suite on the storage plugins of this folder, each
// over a real server.
package network_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// config is that of a plugin that may reach one server of this machine.
func config(address string, settings map[string]string) plugin.Config {
	return plugin.Config{
		GuestConfig:   settings,
		Network:       plugin.Network{Allow: []string{address}, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		SweepInterval: -1,
		CacheDir:      cacheDir,
		Logger:        slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// prefix is that of the store in a directory. One that is opened again, with the same directory or a
// copy of it, has the same.
func prefix(dir string) string {
	file := filepath.Join(dir, "prefix")
	if prefix, err := os.ReadFile(file); err == nil {
		return string(prefix)
	}
	prefix := filepath.Base(dir) + ":"
	if err := os.WriteFile(file, []byte(prefix), 0o600); err != nil {
		panic(err)
	}
	return prefix
}

// cacheDir keeps compiled code for all tests here.
var cacheDir string

func TestMain(m *testing.M) {
	var err error
	if cacheDir, err = os.MkdirTemp("", "network"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(cacheDir)
	os.Exit(code)
}

// languages are the folders beside this file.
var languages = []string{"c", "go"}

func module(t *testing.T, language string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(language, "store.wasm"))
	require.NoError(t, err)
	return wasm
}

func TestConformance(t *testing.T) {
	for n, language := range languages {
		for _, program := range backend.RedisPrograms[:max(1, len(backend.RedisPrograms)*(1-n))] { // the first over each
			t.Run(language+"/"+program, func(t *testing.T) {
				server := backend.Redis(t, backend.RedisOptions{Program: program})
				wasm := module(t, language)
				options := storetest.Options{Durable: true, MaxValue: 256 << 10, Soak: 3000, Sequences: 10}
				if language == "go" { // a large module, which every check opens; its engine is tested natively
					options.Only = []string{"get", "expect", "touch/extends", "delete", "clear", "concurrent", "set/every-power-of-two"}
				}
				storetest.Run(t, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
					c := config("tcp://"+server.Addr(), map[string]string{"address": "tcp://" + server.Addr(), "prefix": prefix(setup.Dir)})
					c.Shards, c.MemoryLimit = setup.Shards, setup.MemoryLimit
					return plugin.Open(ctx, wasm, c)
				}, options)
			})
		}
	}
}
