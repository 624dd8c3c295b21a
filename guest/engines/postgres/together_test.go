package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/table"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// open opens a table without a host, so that several can be used at the same time.
func open(t *testing.T, settings ...string) *table.Table {
	t.Helper()
	o, err := read(config(settings))
	require.NoError(t, err)
	o.Client.Dial = dial
	o.Scratch = func(n int) []byte { return make([]byte, n) }
	tab, err := table.Open(o)
	require.NoError(t, err)
	t.Cleanup(tab.Close)
	return tab
}

// counter is a value that counts: a revision and a number.
func counter(revision, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, revision), n)
}

// add adds one to a counter by compare and set, as often as it takes. It reports whether it
// may have added one although it returns an error.
func add(tab *table.Table, key string) (unsure bool, err error) {
	for {
		old, err := tab.Get([]byte(key), now)
		if err != nil {
			return false, err
		}
		revision := abi.Revision(old)
		w := guest.Write{Key: []byte(key), Value: counter(revision+1, binary.LittleEndian.Uint64(old[8:])+1), Now: now, Expect: int64(revision)}
		if err = tab.Set(w); err == nil || !errors.Is(err, guest.ErrConflict) {
			return err != nil, err
		}
	}
}

// tally is what several have done to counters.
type tally struct{ created, added, unsure atomic.Int64 }

// race has several tables create and count on few keys until stop returns true, and compares
// what they were told with what is stored.
func race(t *testing.T, tables []*table.Table, keys int, stop func(n int) bool) *tally {
	t.Helper()
	tally := new(tally)
	created := make([]atomic.Int64, keys)
	var wg sync.WaitGroup
	for _, tab := range tables {
		wg.Go(func() {
			for n := 0; !stop(n); n++ {
				k := n % keys
				key := fmt.Sprint("counter ", k)
				switch err := tab.Set(guest.Write{Key: []byte(key), Value: counter(1, 0), Now: now, Expect: abi.ExpectAbsent}); {
				case err == nil:
					created[k].Add(1)
					tally.created.Add(1)
				case !errors.Is(err, guest.ErrConflict) && !errors.Is(err, guest.ErrUnavailable):
					t.Errorf("create: %v", err)
				}
				switch unsure, err := add(tab, key); {
				case err == nil:
					tally.added.Add(1)
				case errors.Is(err, guest.ErrNotFound), errors.Is(err, guest.ErrUnavailable):
					if unsure {
						tally.unsure.Add(1)
					}
				default:
					t.Errorf("add: %v", err)
				}
			}
		})
	}
	wg.Wait()
	sum := int64(0)
	for k := range keys {
		var value []byte
		require.Eventually(t, func() (ok bool) {
			var err error
			value, err = tables[0].Get([]byte(fmt.Sprint("counter ", k)), now)
			return err == nil
		}, 20*time.Second, 20*time.Millisecond)
		require.LessOrEqual(t, created[k].Load(), int64(1), "counter %d was created more than once", k)
		n := int64(binary.LittleEndian.Uint64(value[8:]))
		require.Equal(t, uint64(n)+1, abi.Revision(value))
		sum += n
	}
	require.GreaterOrEqual(t, sum, tally.added.Load(), "something that was acknowledged is lost")
	require.LessOrEqual(t, sum, tally.added.Load()+tally.unsure.Load(), "something was done twice")
	t.Logf("created %d, added %d, of %d it is not known; the sum is %d", tally.created.Load(), tally.added.Load(), tally.unsure.Load(), sum)
	return tally
}

func several(t *testing.T, n int, settings ...string) (list []*table.Table) {
	for range n {
		list = append(list, open(t, settings...))
	}
	return list
}

func times(most int) func(int) bool { return func(n int) bool { return n == most } }

func TestRace(t *testing.T) {
	server := backend.SharedPostgres(t)
	tally := race(t, several(t, 8, with(server)...), 5, times(60))
	require.Equal(t, int64(5), tally.created.Load())
	require.Equal(t, int64(8*60), tally.added.Load())
}

// A role whose transactions are isolated more strictly gets errors that pass.
func TestRaceWithStrictIsolation(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{})
	for _, level := range []string{"repeatable read", "serializable"} {
		server.Query("ALTER ROLE waddle SET default_transaction_isolation = '" + level + "'")
		tally := race(t, several(t, 4, with(server)...), 3, times(30))
		require.Equal(t, int64(3), tally.created.Load())
		require.Equal(t, int64(4*30), tally.added.Load())
	}
}

// The server is killed, and started again, while it is being used: nothing that it has
// acknowledged is lost, nothing is done twice, and nobody needs to do anything.
func TestRaceWhileTheServerIsKilled(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{})
	var over atomic.Bool
	done := make(chan *tally)
	tables := several(t, 4, with(server)...)
	go func() { done <- race(t, tables, 3, func(int) bool { return over.Load() }) }()
	for i := range 4 {
		time.Sleep(150 * time.Millisecond)
		if i%2 == 0 {
			server.Kill()
		}
		server.Restart()
	}
	time.Sleep(150 * time.Millisecond)
	over.Store(true)
	tally := <-done
	require.Positive(t, tally.added.Load())
}

// Connections are cut all the time, in both directions and anywhere.
func TestRaceWhileConnectionsAreCut(t *testing.T) {
	server := backend.SharedPostgres(t)
	proxy := backend.NewProxy(t, server.Addr())
	tables := several(t, 3, pairs(append(with(server), "addresses", proxy.Addr())...)...)
	var over atomic.Bool
	done := make(chan *tally)
	go func() { done <- race(t, tables, 3, func(int) bool { return over.Load() }) }()
	for i := range 150 {
		cuts := proxy.Cuts()
		direction := backend.ToServer
		if i%2 == 0 {
			direction = backend.ToClient
		}
		proxy.CutAfter(int64(i*37%1000), direction)
		require.Eventually(t, func() bool { return proxy.Cuts() > cuts }, 20*time.Second, time.Millisecond)
	}
	over.Store(true)
	tally := <-done
	require.Positive(t, tally.added.Load())
}
