package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	server := backend.SharedPostgres(t)
	guesttest.RunFiles(t, func(dir string) guest.Engine {
		return &opened{settings: settings(server, "table", tableOf(t, dir))}
	}, info, guesttest.Options{Options: storetest.Options{Soak: 3000, Sequences: 10}})
}

// settings are those for a server, and others: names and values in ascending order.
func settings(server *backend.PostgresServer, more ...string) []string {
	return append([]string{"addresses", server.Addr(), "database", backend.PostgresDatabase, "user", backend.PostgresUser}, more...)
}

var tables atomic.Int64

// newTable returns the name of a table that there is not yet.
func newTable() string { return fmt.Sprintf("table_%d_%d", os.Getpid(), tables.Add(1)) }

// tableOf returns the table of a store. A store that is opened again, with the same
// directory or a copy, has the same one.
func tableOf(t *testing.T, dir string) string {
	file := filepath.Join(dir, "table")
	if name, err := os.ReadFile(file); err == nil {
		return string(name)
	}
	name := newTable()
	require.NoError(t, os.WriteFile(file, []byte(name), 0o600))
	return name
}
