package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/guest/network"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// Behind a pooler that gives each transaction another connection, all is the same.
func TestPooler(t *testing.T) {
	server := backend.SharedPostgres(t)
	pooler := backend.PgBouncer(t, server, backend.PgBouncerOptions{Pool: 2})
	tally := race(t, several(t, 6, with(server, "addresses", pooler.Addr(), "synchronous_commit", "off")...), 5, times(40))
	require.Equal(t, int64(5), tally.created.Load())
	require.Equal(t, int64(6*40), tally.added.Load())

	// What the engine has set concerns its own transactions alone.
	h, _ := start(t, with(server, "addresses", pooler.Addr(), "synchronous_commit", "off", "timeout_ms", "1234")...)
	works(t, h)
	require.NoError(t, h.Save(now))
	require.Equal(t, "on", server.Query("SHOW synchronous_commit"))
	out := server.QueryAt(pooler.Addr(), "SELECT current_setting('synchronous_commit'), current_setting('statement_timeout'), count(*) FROM pg_prepared_statements")
	require.Equal(t, "on|0|0", out)

	pooler.Restart()
	works(t, h)
}

func TestConformanceBehindAPooler(t *testing.T) {
	if testing.Short() {
		t.Skip("makes thousands of calls of a server")
	}
	server := backend.SharedPostgres(t)
	pooler := backend.PgBouncer(t, server, backend.PgBouncerOptions{})
	guesttest.Run(t, func() guest.Engine { return new(engine) }, info, guesttest.Options{
		Options: storetest.Options{Sequences: 5, Only: []string{"batch", "expect", "touch", "keys", "snapshot", "shared"}},
		Settings: map[string]string{
			"addresses": pooler.Addr(), "database": backend.PostgresDatabase, "user": backend.PostgresUser,
			"table": fmt.Sprintf("pooled_%d_", os.Getpid()),
		},
		Namespace: "table",
	})
}

// The pooler is started again while it is being used.
func TestRaceWhileThePoolerIsRestarted(t *testing.T) {
	server := backend.SharedPostgres(t)
	pooler := backend.PgBouncer(t, server, backend.PgBouncerOptions{})
	tables := several(t, 4, with(server, "addresses", pooler.Addr())...)
	var over atomic.Bool
	done := make(chan *tally)
	go func() { done <- race(t, tables, 3, func(int) bool { return over.Load() }) }()
	for range 4 {
		time.Sleep(100 * time.Millisecond)
		pooler.Kill()
		pooler.Restart()
	}
	time.Sleep(100 * time.Millisecond)
	over.Store(true)
	require.Positive(t, (<-done).added.Load())
}

func TestPoolerWithTLSAndPassword(t *testing.T) {
	server := backend.SharedPostgres(t)
	certs := backend.NewCertificates(t)
	pooler := backend.PgBouncer(t, server, backend.PgBouncerOptions{Auth: "scram-sha-256", TLS: certs})
	network.NativeTLS = certs.Client()
	defer func() { network.NativeTLS = nil }()
	settings := with(server, "addresses", pooler.Addr(), "password", backend.PostgresPassword, "tls", "on")
	h, _ := start(t, settings...)
	works(t, h)
	_, _, err := tryStart(t, pairs(append(settings, "password", "guessed")...)...)
	require.ErrorIs(t, err, guest.ErrDenied)
}
