package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestConformance runs the suite over each server that is installed.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			server := backend.Redis(t, backend.RedisOptions{Program: program})
			guesttest.RunFiles(t, func(dir string) guest.Engine {
				return &opened{settings: []string{"addresses", server.Addr(), "prefix", prefixOf(t, dir)}}
			}, info, guesttest.Options{Options: storetest.Options{Soak: 10_000, Sequences: 20}})
		})
	}
}

// prefixOf returns the prefix of a store. A store that is opened again, with the same
// directory or a copy, has the same one.
func prefixOf(t *testing.T, dir string) string {
	file := filepath.Join(dir, "prefix")
	if prefix, err := os.ReadFile(file); err == nil {
		return string(prefix)
	}
	prefix := newPrefix()
	require.NoError(t, os.WriteFile(file, []byte(prefix), 0o600))
	return prefix
}
