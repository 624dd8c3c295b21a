package backend_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestPostgres(t *testing.T) {
	s := backend.Postgres(t, backend.PostgresOptions{Auth: "scram-sha-256"})
	require.Equal(t, "1|two", s.Query("SELECT 1, 'two'"))
	_, err := s.TryQuery("SELECT nonsense")
	require.ErrorContains(t, err, "nonsense")
	s.Query("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")

	replica := backend.Postgres(t, backend.PostgresOptions{ReplicaOf: s})
	require.Equal(t, "1", replica.Query("SELECT n FROM t"))
	_, err = replica.TryQuery("INSERT INTO t VALUES (2)")
	require.ErrorContains(t, err, "read-only")

	addr := s.Addr()
	s.Kill()
	require.Zero(t, s.PID())
	_, err = s.TryQuery("SELECT 1")
	require.Error(t, err)
	replica.Promote()
	require.Eventually(t, func() bool {
		_, err := replica.TryQuery("INSERT INTO t VALUES (2)")
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
	s.Restart()
	require.Equal(t, addr, s.Addr())
	require.Equal(t, "1", s.Query("SELECT n FROM t"))
}

func TestPostgresPauses(t *testing.T) {
	s := backend.SharedPostgres(t)
	require.Same(t, s, backend.SharedPostgres(t))
	s.Pause()
	answered := make(chan string, 1)
	go func() { answered <- s.Query("SELECT 'there'") }()
	select {
	case <-answered:
		t.Fatal("a paused server answers")
	case <-time.After(50 * time.Millisecond):
	}
	s.Resume()
	require.Equal(t, "there", <-answered)
}

func TestPgBouncer(t *testing.T) {
	s := backend.SharedPostgres(t)
	p := backend.PgBouncer(t, s, backend.PgBouncerOptions{})
	require.NotZero(t, p.PID())
	p.Restart()
	conn, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
