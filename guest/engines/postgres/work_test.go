package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func nameOf(settings []string) string { return settings[slices.Index(settings, "table")+1] }

// fill stores records, without the engine.
func fill(server *backend.PostgresServer, settings []string, n int, expires int64) {
	server.Query(fmt.Sprintf("INSERT INTO %s SELECT sha256(i::text::bytea), 1, 0, %d, %[2]d, '' FROM generate_series(1, %d) i ON CONFLICT DO NOTHING",
		nameOf(settings), expires, n))
}

func count(server *backend.PostgresServer, settings []string) string {
	return server.Query("SELECT count(*) FROM " + nameOf(settings))
}

// Clear empties the table, whether or not the role may do that at once.
func TestClear(t *testing.T) {
	server := backend.SharedPostgres(t)
	server.Query("DROP ROLE IF EXISTS sweeper; CREATE ROLE sweeper LOGIN")
	settings := with(server)
	h, _ := start(t, settings...)
	fill(server, settings, 5000, 0)
	node := server.Query("SELECT pg_relation_filenode('" + nameOf(settings) + "')")
	require.NoError(t, h.Clear(now))
	require.Equal(t, "0", count(server, settings))
	require.NotEqual(t, node, server.Query("SELECT pg_relation_filenode('"+nameOf(settings)+"')"), "the space was given back")
	works(t, h)

	server.Query("GRANT SELECT, INSERT, UPDATE, DELETE ON " + nameOf(settings) + " TO sweeper; GRANT SELECT ON " + nameOf(settings) + "_migrations TO sweeper")
	other, _ := start(t, pairs(append(settings, "user", "sweeper")...)...)
	fill(server, settings, 5000, 0)
	require.NoError(t, other.Clear(now))
	require.Equal(t, "0", count(server, settings))

	// A backup reads the table meanwhile.
	fill(server, settings, 5000, 0)
	done := make(chan string)
	go func() {
		done <- server.Query("BEGIN; LOCK TABLE " + nameOf(settings) + " IN ACCESS SHARE MODE; SELECT pg_sleep(3); COMMIT")
	}()
	require.Eventually(t, func() bool {
		return server.Query("SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock' AND relation = '"+nameOf(settings)+"'::regclass") != "0"
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, h.Clear(now))
	<-done
	require.Equal(t, "0", count(server, settings))
	works(t, h)
}

// Several hosts sweep at the same time: none waits for another, and each record is removed
// once. What somebody touches meanwhile stays.
func TestSweepOfSeveralHosts(t *testing.T) {
	server := backend.SharedPostgres(t)
	settings := with(server)
	tables := several(t, 4, settings...)
	fill(server, settings, 2000, now-1)
	fill(server, settings, 2100, now+hour)
	var wg sync.WaitGroup
	var removed atomic.Int64
	for _, tab := range tables {
		wg.Go(func() {
			for idle := 0; idle < 3; {
				n, err := tab.Sweep(50, now)
				if err != nil {
					t.Errorf("sweep: %v", err)
					return
				}
				if removed.Add(int64(n)); n > 50 {
					t.Errorf("%d records were removed by one call", n)
				}
				if n == 0 {
					idle++
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(2000), removed.Load())
	require.Equal(t, "100", count(server, settings))
	sum := uint64(0)
	for _, tab := range tables {
		sum += tab.Expired()
	}
	require.Equal(t, uint64(2000), sum)
}

// With synchronous_commit=off a server that is killed may lose what it has answered, but
// nothing that was saved.
func TestSaved(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{Settings: []string{"wal_writer_delay = 10s", "autovacuum = off"}})
	settings := with(server, "synchronous_commit", "off")
	h, _ := start(t, settings...)
	write := func(from int) {
		for i := range 50 {
			require.NoError(t, h.Set(set(fmt.Sprint("key ", from+i), "text", 1, -1)))
		}
	}
	for range 3 {
		server.Query("CHECKPOINT")
		write(0)
		require.NoError(t, h.Save(now))
		write(50)
		server.Kill()
		server.Restart()
		for i := range 50 {
			_, err := h.Get(fmt.Appendf(nil, "key %d", i), now)
			require.NoError(t, err, "what was saved")
		}
		require.NoError(t, h.Clear(now))
	}

	// Without it, an answer is enough.
	settings = with(server)
	h, _ = start(t, settings...)
	write(0)
	server.Kill()
	server.Restart()
	require.Equal(t, "50", count(server, settings))
	require.NoError(t, h.Save(now))
}

// The setting of the server or of the role counts as well.
func TestSavedByTheRole(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{Settings: []string{"wal_writer_delay = 10s", "autovacuum = off"}})
	server.Query("ALTER ROLE waddle SET synchronous_commit = off")
	settings := with(server)
	h, _ := start(t, settings...)
	server.Query("CHECKPOINT")
	require.NoError(t, h.Set(set("a", "text", 1, -1)))
	require.NoError(t, h.Save(now))
	server.Kill()
	server.Restart()
	require.Contains(t, server.Query("SELECT convert_from(key, 'UTF8') FROM "+nameOf(settings)), "a")
}

// A connection is kept alive, and one that is not needed is given back.
func TestIdle(t *testing.T) {
	server := backend.SharedPostgres(t)
	h, e := start(t, with(server)...)
	require.Equal(t, 1, e.Connections())
	next, err := h.Idle(now)
	require.NoError(t, err)
	require.Greater(t, next, int64(1000))
	require.Less(t, next, int64(60_000))
	works(t, h)
}
