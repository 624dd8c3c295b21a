// Package network_test runs the conformance suite on the storage plugins of this folder, each
// over a real server.
package network_test

import (
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
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
var languages = []string{"c", "go", "rust", "zig"}

func module(t *testing.T, language string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join(language, "store.wasm"))
	require.NoError(t, err)
	return wasm
}

// most are checks for a guest whose like has passed them all: one in Go is a large module that every
// check opens, and its engine is tested natively.
var most = []string{"module", "remote", "get", "set", "expect", "touch", "expiry", "keys"}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		language, program string
		only              []string
	}{
		{"c", "redis-server", nil},
		{"c", "valkey-server", most},
		{"go", "redis-server", most},
		{"rust", "redis-server", most},
		{"zig", "redis-server", most},
	} {
		t.Run(c.language+"/"+c.program, func(t *testing.T) {
			address := "tcp://" + backend.Redis(t, backend.RedisOptions{Program: c.program}).Addr()
			options := plugintest.Options{
				Options:   storetest.Options{Soak: 3000, Sequences: 10, Only: c.only},
				Config:    config(address, nil),
				Settings:  map[string]string{"address": address},
				Namespace: "prefix",
			}
			if raceEnabled || testing.Short() {
				options.Skip = []string{"memory", "growth", "soak"}
			}
			plugintest.RunModule(t, module(t, c.language), options)
		})
	}
}
