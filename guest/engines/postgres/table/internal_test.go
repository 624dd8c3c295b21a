package table

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
	"github.com/waddle-sessions/waddle/guest/network"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

const now = int64(1_767_225_600_000)

var tables atomic.Int64

// options are those for a server and a table of its own.
func options(address string) Options {
	return Options{
		Client: &client.Config{
			User: backend.PostgresUser, Database: backend.PostgresDatabase, Random: guest.Random, MaxMessage: 32 << 20,
			Dial: func(over, address string, until time.Time) (client.Link, error) {
				conn, err := (&network.Dialer{Timeout: time.Until(until)}).Dial(over, address)
				if err != nil {
					return nil, err
				}
				return conn.(*network.Conn), nil
			},
		},
		Addresses: []string{address}, Name: fmt.Sprintf("t%d_%d", os.Getpid(), tables.Add(1)), Connections: 3,
		Timeout: 10 * time.Second, OpenTimeout: 20 * time.Second,
		Scratch: func(n int) []byte { return make([]byte, n) }, Log: guest.Log, Random: guest.RandomUint64,
	}
}

func open(t *testing.T, o Options) *Table {
	t.Helper()
	tab, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(tab.Close)
	return tab
}

func value(revision uint64, text string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, revision), text...)
}

func TestSweepAt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		expires, now := int64(random.Uint64()>>random.IntN(64)), int64(random.Uint64()>>random.IntN(64))
		switch random.IntN(4) {
		case 0:
			expires = -expires
		case 1:
			expires = now + random.Int64N(1000)
		case 2:
			expires, now = math.MaxInt64-random.Int64N(1000), -now
		}
		at := sweepAt(expires, now)
		if expires == 0 {
			require.Zero(t, at)
			continue
		}
		require.NotZero(t, at)
		require.GreaterOrEqual(t, at, expires)
		if expires <= now {
			require.LessOrEqual(t, uint64(at)-uint64(expires), uint64(1))
		} else if at != math.MaxInt64 {
			require.LessOrEqual(t, uint64(at)-uint64(expires), (uint64(expires)-uint64(now))/lateness+1, "%d at %d", expires, now)
		}
	}
	// A session of a week that is used every minute.
	moments := make(map[int64]bool)
	for minute := range int64(24 * 60) {
		moments[sweepAt(now+minute*60_000+7*24*3_600_000, now+minute*60_000)] = true
	}
	require.Less(t, len(moments), 10)
}

// The index on sweep_at does not make the server write an index when a session is used.
func TestUpdatesLeaveTheIndexAlone(t *testing.T) {
	server := backend.SharedPostgres(t)
	tab := open(t, options(server.Addr()))
	const updates = 200
	for n := range int64(updates) {
		at := now + n*10_000
		require.NoError(t, tab.Set(guest.Write{Key: []byte("k"), Value: value(uint64(n), "text"), Expires: at + 3_600_000, Now: at}))
	}
	tab.Close() // a server process reports what it has counted when it ends
	require.Eventually(t, func() bool {
		return server.Query("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = '"+tab.options.Name+"'") == fmt.Sprint(updates-1)
	}, 20*time.Second, 20*time.Millisecond)
	hot := server.Query("SELECT n_tup_hot_upd >= " + fmt.Sprint(updates*8/10) + " FROM pg_stat_user_tables WHERE relname = '" + tab.options.Name + "'")
	require.Equal(t, "t", hot)
}

// Keys that have their beginning in common are enumerated too, by several at once.
func TestEnumerationsOfKeysWithOneBeginning(t *testing.T) {
	server := backend.SharedPostgres(t)
	tab := open(t, options(server.Addr()))
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf("the same beginning %05d", i))
	}
	for i := range 256 {
		keys = append(keys, string([]byte{byte(i)}), string([]byte{byte(i), 0}), string(bytes.Repeat([]byte{byte(i)}, 7)), string(bytes.Repeat([]byte{byte(i)}, 8)))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	server.Query("INSERT INTO " + tab.options.Name + " SELECT decode(k, 'hex'), 1, 0, 0, 0, '' FROM unnest(string_to_array('" + hexed(keys) + "', ',')) AS k")
	type walk struct {
		cursor int64
		seen   map[string]int
		over   bool
		given  map[int64]bool
	}
	walks := make([]walk, 3)
	for i := range walks {
		walks[i] = walk{seen: map[string]int{}, given: map[int64]bool{}}
	}
	chunks := 0
	for step := 0; !walks[0].over || !walks[1].over || !walks[2].over; step++ {
		w := &walks[step%3]
		if w.over || step%7 == 3 {
			continue
		}
		start, err := tab.walks.start(w.cursor)
		require.NoError(t, err)
		// A chunk of few keys, which lie in the middle of what has one beginning.
		rows, _, err := tab.query(&tab.sql.keys, tab.deadline(), client.Bytes(start), client.Number(now), client.Number(101))
		require.NoError(t, err)
		w.over = true
		for i, row := range rows {
			if i == 100 {
				w.cursor = tab.walks.cursor(start, row[0])
				w.over = false
				break
			}
			w.seen[string(row[0])]++
		}
		require.False(t, !w.over && w.given[w.cursor], "a cursor came again")
		w.given[w.cursor] = true
		require.Positive(t, w.cursor)
		chunks++
		require.Less(t, chunks, 1000)
	}
	for _, w := range walks {
		for _, key := range keys {
			require.Positive(t, w.seen[key], "%q", key)
		}
		require.Len(t, w.seen, len(keys))
	}
}

func hexed(keys []string) string {
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = fmt.Sprintf("%x", key)
	}
	return strings.Join(list, ",")
}

func TestCursorsThatWereNotGiven(t *testing.T) {
	var p positions
	for _, cursor := range []int64{1, 1 << 55, 8 << 56, 63 << 56, 1<<56 | 1, keptCursor, keptCursor | 1, math.MaxInt64} {
		_, err := p.start(cursor)
		require.ErrorIs(t, err, guest.ErrInvalid, "%x", cursor)
	}
	// The ones that are kept are those that were used last.
	first := p.cursor([]byte("zz"), []byte("aa first"))
	var last int64
	for i := range mostPositions - 1 {
		last = p.cursor([]byte("zz"), fmt.Appendf(nil, "aa %d", i))
	}
	key, err := p.start(first)
	require.NoError(t, err)
	require.Equal(t, "aa first", string(key))
	p.cursor([]byte("zz"), []byte("aa one more"))
	_, err = p.start(first)
	require.NoError(t, err)
	key, err = p.start(last)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("aa %d", mostPositions-2), string(key))
	require.LessOrEqual(t, len(p.list), mostPositions)
	_, err = p.start(first - 1 + 2) // the second that was given
	require.ErrorIs(t, err, guest.ErrInvalid)
}

// Whoever is behind a pooler and does not know it finds out, and nobody notices.
func TestPoolerThatIsFoundOutLate(t *testing.T) {
	server := backend.SharedPostgres(t)
	pooler := backend.PgBouncer(t, server, backend.PgBouncerOptions{Pool: 1})
	var several []*Table
	for range 4 {
		o := options(pooler.Addr())
		o.blind = true
		tab := open(t, o)
		several = append(several, tab)
	}
	for range 5 {
		for _, tab := range several {
			require.NoError(t, tab.Set(guest.Write{Key: []byte("k"), Value: value(1, "a"), Now: now, Expect: 0}))
			got, err := tab.Get([]byte("k"), now)
			require.NoError(t, err)
			require.Equal(t, value(1, "a"), got)
		}
	}
}

func TestMigrations(t *testing.T) {
	server := backend.SharedPostgres(t)
	o := options(server.Addr())
	tab := open(t, o)
	require.NoError(t, tab.Set(guest.Write{Key: []byte("k"), Value: value(1, "a"), Now: now}))
	o.migrations = append(slices.Clone(migrations), migration{2, "ALTER TABLE {table} ADD COLUMN more text;"}, migration{3, "ALTER TABLE {table} DROP COLUMN more;"})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			tab, err := Open(o)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer tab.Close()
			if _, err := tab.Get([]byte("k"), now); err != nil {
				t.Errorf("get: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, "1\n2\n3", server.Query("SELECT version FROM "+o.Name+"_migrations ORDER BY 1"))
	// Who has opened it before goes on.
	_, err := tab.Get([]byte("k"), now)
	require.NoError(t, err)

	// One that fails changes nothing.
	o.migrations = append(o.migrations, migration{4, "ALTER TABLE {table} ADD COLUMN more text; SELECT 1/0;"})
	_, err = Open(o)
	require.Error(t, err)
	require.Equal(t, "3", server.Query("SELECT max(version) FROM "+o.Name+"_migrations"))
	require.Equal(t, "0", server.Query("SELECT count(*) FROM pg_attribute WHERE attname = 'more' AND attrelid = '"+o.Name+"'::regclass AND NOT attisdropped"))
}

// Hosts whose batches have the same keys in other orders do not get in each other's way.
func TestBatchesOfSeveralHosts(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{})
	o := options(server.Addr())
	var wg sync.WaitGroup
	for host := range 4 {
		tab := open(t, o)
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(host), 1))
			for range 25 {
				var ops []*op
				for _, k := range random.Perm(60) {
					o := tab.setOp(&guest.Write{Key: fmt.Appendf(nil, "key %d", k), Value: value(1, "text"), Now: now})
					ops = append(ops, &o)
				}
				tab.run(slices.Clone(ops))
				for _, o := range ops {
					if o.err != nil {
						t.Errorf("set: %v", o.err)
					}
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, "0", server.Query("SELECT deadlocks FROM pg_stat_database WHERE datname = 'waddle'"))
}
