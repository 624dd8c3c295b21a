package protocol

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// The sweeper's stretch is several calls, between which others have their turn. The
// test uses one processor, where others run only if the sweeper yields.
func TestSweepInSteps(t *testing.T) {
	f := newFake()
	p := f.open(t, Config{Shards: 1})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	steps := func() uint64 { return p.Stats()[0].Ops["sweep"].Calls }

	var between int // steps after which another operation had its turn
	var stop atomic.Bool
	var other sync.WaitGroup
	other.Go(func() {
		for last := uint64(0); !stop.Load(); runtime.Gosched() {
			_, err := p.Get(t.Context(), []byte("key"), 1)
			if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
				return
			}
			if n := steps(); n > last {
				between, last = between+1, n
			}
		}
	})
	const stretches = 10
	for range stretches {
		p.shards[0].sweeping = mostStep / 4
		_, err := p.shards[0].sweepInSteps(t.Context(), at(1))
		require.NoError(t, err)
		require.GreaterOrEqual(t, p.shards[0].sweeping.records(), leastStep)
	}
	stop.Store(true)
	other.Wait()
	require.GreaterOrEqual(t, steps(), uint64(2*stretches))
	require.Greater(t, between, int(steps())/2, "of %d steps", steps())
}

// at is a clock that stands still.
func at(now store.Millis) func() store.Millis { return func() store.Millis { return now } }

// If a clock is set back during a sweep, the guest's next call already uses the new
// time.
func TestSweepBySetClock(t *testing.T) {
	f := newFake()
	p := f.open(t, Config{Shards: 1})
	told := 0
	clock := func() store.Millis {
		told++
		return store.Millis(1000 - told)
	}
	require.True(t, p.SweepShard(t.Context(), 0, clock))
	require.Greater(t, told, 1)
	require.Equal(t, uint64(told), p.Stats()[0].Ops["sweep"].Calls)
}

// The same goes for a shard that is being saved, since saving drops what has expired.
func TestSaveBySetClock(t *testing.T) {
	f := newFake()
	var told []store.Millis
	f.flush = func(now store.Millis) (left int64) {
		told = append(told, now)
		return int64(max(0, 3-len(told)))
	}
	p := f.open(t, Config{Shards: 1})
	require.NoError(t, p.Set(t.Context(), store.Write{Key: []byte("key"), Value: make([]byte, abi.RevisionSize), Now: 1}))
	clock := store.Millis(1000)
	require.NoError(t, p.SaveShard(t.Context(), 0, func() store.Millis { clock--; return clock }))
	require.Equal(t, []store.Millis{999, 998, 997}, told)
}

func TestSweepSize(t *testing.T) {
	for _, c := range []struct {
		name   string
		full   sweepSize
		looked int
		took   time.Duration
		want   int
	}{
		{"the first", 0, firstStep, sweepTime / 2, firstStep},
		{"fast", 128, 128, sweepTime / 5, 256},
		{"fast, but fewer were left", 128, 100, sweepTime / 5, 128},
		{"as it should be", 128, 128, sweepTime / 2, 128},
		{"slow", 128, 128, sweepTime + 1, 64},
		{"slow, and fewer were left", 128, 100, sweepTime + 1, 64},
		{"never smaller", leastStep, leastStep, time.Second, leastStep},
		{"never larger", mostStep, mostStep, 0, mostStep},
	} {
		c.full.adapt(c.looked, c.took)
		require.Equal(t, c.want, c.full.records(), c.name)
	}
}
