// Package network_test runs the conformance suite on the storage plugins of this folder, each
// over a real server.
package network_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
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
var languages = []string{"assemblyscript", "c", "go", "rust", "zig"}

// module returns what is committed, and the guest in Go, which is large and whose engine is tested
// natively, as it is built.
func module(t *testing.T, language string) []byte {
	t.Helper()
	if language == "go" {
		if testing.Short() {
			t.Skip("builds a guest")
		}
		wasm, err := builtGo()
		require.NoError(t, err)
		return wasm
	}
	wasm, err := os.ReadFile(filepath.Join(language, "store.wasm"))
	require.NoError(t, err)
	return wasm
}

var builtGo = sync.OnceValues(func() ([]byte, error) {
	file := filepath.Join(cacheDir, "go.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, "./go")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

func TestEveryFolderIsTested(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	require.Equal(t, languages, folders)
}

// most are checks for a guest whose like has passed them all: one in Go is a large module that every
// check opens, and its engine is tested natively.
var most = []string{"module", "remote", "get", "set", "expect", "touch", "expiry", "keys"}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		language, program string
		only              []string
	}{
		{"assemblyscript", "redis-server", most},
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
