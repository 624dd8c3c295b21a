package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBatchRunsEveryOperationOnce(t *testing.T) {
	for _, c := range []struct{ workers, n int }{{1, 1}, {1, 1000}, {2, 1}, {4, 63}, {4, 64}, {4, 100_001}, {8, 3}} {
		var ran atomic.Int64
		var mu sync.Mutex
		busy := map[int]bool{}
		work := cell{cellName: cellName{Cores: 1}, workers: c.workers, run: func(worker, n int) {
			mu.Lock()
			require.False(t, busy[worker], "only one goroutine at a time calls a worker")
			require.Less(t, worker, c.workers)
			busy[worker] = true
			mu.Unlock()
			ran.Add(int64(n))
			mu.Lock()
			busy[worker] = false
			mu.Unlock()
		}}
		require.Positive(t, work.batch(c.n))
		require.Equal(t, int64(c.n), ran.Load(), "%+v", c)
	}
}

var kept []*[512]byte

// An operation that costs four times as much must show as such, and an
// allocation as one.
func TestMeasure(t *testing.T) {
	kept = make([]*[512]byte, 1)
	once := func(worker, n int) { spin(worker, n) }
	cells := []cell{
		{cellName: cellName{Subject: "once", Cores: 1}, workers: 1, run: once},
		{cellName: cellName{Subject: "once", Cores: 2}, workers: 2, run: once},
		{cellName: cellName{Subject: "four times", Cores: 1}, workers: 1, run: func(worker, n int) { spin(worker, 4*n) }},
		{cellName: cellName{Subject: "allocates", Cores: 1}, workers: 1, run: func(_, n int) {
			for range n {
				kept[0] = new([512]byte)
			}
		}},
	}
	require.Equal(t, [][]int{{0, 1}, {2}, {3}}, group(cells))
	result, err := measure(cells, plan{rounds: 9, span: time.Millisecond})
	require.NoError(t, err)
	require.Len(t, result, len(cells))
	for _, s := range result {
		require.Len(t, s.ns, 9)
	}
	r := results(result)
	// A busy machine makes some rounds longer, and none shorter.
	ratio := slices.Min(r.find("four times", "", 1).ns) / slices.Min(r.find("once", "", 1).ns)
	require.Greater(t, ratio, 2.0)
	require.Less(t, ratio, 8.0)

	allocates := r.find("allocates", "", 1)
	require.InDelta(t, 1, median(allocates.allocs), 0.05)
	require.InDelta(t, 512, median(allocates.bytes), 20)
	require.Less(t, median(r.find("once", "", 1).allocs), 0.05)
}

// A machine that stalls at the first try must not leave a cell with a batch of
// one.
func TestCalibrateOutlastsAStall(t *testing.T) {
	calls := 0
	n, err := calibrate(cell{cellName: cellName{Cores: 1}, workers: 1, run: func(_, n int) {
		if calls++; calls == 1 {
			time.Sleep(20 * time.Millisecond)
		}
		for range n {
			spin(0, 1)
		}
	}}, 5*time.Millisecond)
	require.NoError(t, err)
	require.Greater(t, n, 100)
}

func TestUndisturbed(t *testing.T) {
	for _, c := range []struct{ took, cpu, want time.Duration }{
		{10, 8, 8},   // others had the core for a while
		{10, 19, 10}, // two cores worked
		{10, 0, 10},  // processor time unknown
	} {
		require.Equal(t, c.want, usage{Took: c.took, CPU: c.cpu}.undisturbed())
	}
}
