package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of calls of a server")
	}
	server := backend.SharedPostgres(t)
	guesttest.RunFiles(t, func(string) guest.Engine { return new(engine) }, info, guesttest.Options{
		Options: storetest.Options{Soak: 3000, Sequences: 10},
		Settings: map[string]string{
			"addresses": server.Addr(), "database": backend.PostgresDatabase, "user": backend.PostgresUser,
			"table": fmt.Sprintf("suite_%d_", os.Getpid()),
		},
		Namespace: "table",
	})
}

var tables atomic.Int64

// newTable returns the name of a table that there is not yet.
func newTable() string { return fmt.Sprintf("table_%d_%d", os.Getpid(), tables.Add(1)) }
