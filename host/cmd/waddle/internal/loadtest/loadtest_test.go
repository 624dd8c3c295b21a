package loadtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/loadtest"
	"github.com/waddle-sessions/waddle/host/store"
)

// faulty is a real store with a fault.
type faulty struct {
	store.Store
	get    func() error
	set    func(w store.Write) error
	closed *atomic.Int32
}

func (f *faulty) Unwrap() store.Store { return f.Store }

func (f *faulty) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if f.get != nil {
		if err := f.get(); err != nil {
			return nil, err
		}
	}
	return f.Store.Get(ctx, key, now)
}

func (f *faulty) Set(ctx context.Context, w store.Write) error {
	if f.set != nil {
		if err := f.set(w); err != nil {
			return err
		}
	}
	return f.Store.Set(ctx, w)
}

func target(name string, f *faulty) loadtest.Target {
	return loadtest.Target{Name: name, Open: func(_ context.Context, shards int) (loadtest.Opened, error) {
		f.Store = store.NewMemory()
		return loadtest.Opened{Store: f, Shards: max(shards, 1), MaxValue: 1 << 20, Close: func() error {
			if f.closed != nil {
				f.closed.Add(1)
			}
			return store.Close(context.Background(), f.Store)
		}}, nil
	}}
}

func plan(targets ...loadtest.Target) loadtest.Plan {
	return loadtest.Plan{Targets: targets, Operations: loadtest.Operations(), ValueSizes: []int{8, 1024}, Shards: []int{1, 2},
		Concurrency: []int{1, 3}, Duration: 10 * time.Millisecond, Rounds: 2}
}

func TestRunMeasuresAllCombinations(t *testing.T) {
	var closed atomic.Int32
	var told []int
	p := plan(target("one", &faulty{closed: &closed}), target("two", &faulty{closed: &closed}))
	p.Progress = func(done, total int, _ loadtest.Figure) {
		require.Equal(t, 4*2*2*2*2, total)
		told = append(told, done)
	}
	report, err := loadtest.Run(t.Context(), p)
	require.NoError(t, err)
	require.False(t, report.Interrupted)
	require.Equal(t, int32(4), closed.Load(), "two stores for each number of shards")
	require.Len(t, report.Figures, 4*2*2*2)
	require.Len(t, told, 64)
	require.IsIncreasing(t, told)
	seen := make(map[string]bool)
	for _, f := range report.Figures {
		seen[fmt.Sprint(f.Operation, f.ValueSize, f.Shards, f.Concurrency)] = true
		require.Empty(t, f.Skipped)
		require.Equal(t, 10_000, f.Records)
		require.Len(t, f.Results, 2)
		require.NotNil(t, f.Ratio)
		require.LessOrEqual(t, f.Ratio.Least, f.Ratio.Median)
		require.LessOrEqual(t, f.Ratio.Median, f.Ratio.Most)
		for i, name := range []string{"one", "two"} {
			r := f.Results[i]
			require.Equal(t, name, r.Target)
			require.Equal(t, f.Shards, r.Shards)
			require.Len(t, r.Rounds, 2)
			require.Positive(t, r.OpsPerSecond)
			require.Positive(t, r.Operations)
			require.Zero(t, r.Errors, r.Error)
			require.Zero(t, r.Missing)
			l := r.Latency
			require.Positive(t, l.Max)
			require.IsNonDecreasing(t, []int64{int64(l.P50), int64(l.P90), int64(l.P99), int64(l.P999), int64(l.Max)})
		}
	}
	require.Len(t, seen, 32)

	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Contains(t, text.String(), "one compared with two")
	require.Contains(t, text.String(), "get+set")
	require.Equal(t, 2+1+2*32+2, strings.Count(text.String(), "\n")-1, text.String())
	asJSON, err := json.Marshal(report)
	require.NoError(t, err)
	var back loadtest.Report
	require.NoError(t, json.Unmarshal(asJSON, &back))
	require.Equal(t, *report, back)
}

// The measured time is the store's own: a store that sleeps shows it.
func TestRunTimesTheStore(t *testing.T) {
	const slept = 2 * time.Millisecond
	var gets atomic.Int64
	slow := &faulty{get: func() error { gets.Add(1); time.Sleep(slept); return nil }}
	p := plan(target("slow", slow), target("fast", new(faulty)))
	p.Operations, p.ValueSizes, p.Shards, p.Concurrency = []loadtest.Operation{loadtest.Get}, []int{8}, []int{1}, []int{1}
	report, err := loadtest.Run(t.Context(), p)
	require.NoError(t, err)
	f := report.Figures[0]
	require.GreaterOrEqual(t, f.Results[0].Latency.P50, slept)
	require.LessOrEqual(t, f.Results[0].OpsPerSecond, 1/slept.Seconds())
	require.Less(t, f.Results[1].Latency.P50, slept)
	require.Less(t, f.Ratio.Median, 1.)
	require.Less(t, int64(f.Results[0].Operations), gets.Load(), "warming up does not count")
}

func TestRunTellsOfErrors(t *testing.T) {
	broken := errors.New("the disk is on fire")
	var gets atomic.Int64
	f := &faulty{get: func() error {
		if gets.Add(1)%10 == 0 {
			return broken
		}
		return nil
	}}
	p := plan(target("broken", f), target("sound", new(faulty)))
	p.ValueSizes, p.Shards = []int{8}, []int{1}
	report, err := loadtest.Run(t.Context(), p)
	require.NoError(t, err)
	n, first := report.Failed()
	require.Positive(t, n)
	require.Equal(t, "broken: the disk is on fire", first)
	for _, f := range report.Figures {
		if f.Operation == loadtest.Set {
			require.Zero(t, f.Results[0].Errors)
			require.NotNil(t, f.Ratio)
			continue
		}
		require.Positive(t, f.Results[0].Errors)
		require.Nil(t, f.Ratio, "failing operations are fast and must not be compared")
		require.Zero(t, f.Results[1].Errors)
	}
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Contains(t, text.String(), "of broken failed, the first: the disk is on fire")
}

func TestRunCountsWhatIsMissing(t *testing.T) {
	f := &faulty{get: func() error { return store.ErrNotFound }}
	p := plan(target("forgetful", f))
	p.Operations, p.ValueSizes, p.Shards, p.Concurrency = []loadtest.Operation{loadtest.Get}, []int{8}, []int{1}, []int{1}
	report, err := loadtest.Run(t.Context(), p)
	require.NoError(t, err)
	result := report.Figures[0].Results[0]
	require.Equal(t, result.Operations, result.Missing)
	require.Zero(t, result.Errors)
	require.Nil(t, report.Figures[0].Ratio)
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Contains(t, text.String(), "forgetful had dropped")
}

func TestRunUsesWhatFits(t *testing.T) {
	var stored atomic.Int64
	small := &faulty{set: func(w store.Write) error {
		if w.Expect == store.Any && stored.Add(1) > 100 && stored.Load() < 200 {
			return fmt.Errorf("%w: full", store.ErrNoSpace)
		}
		return nil
	}}
	p := plan(target("roomy", new(faulty)), target("small", small))
	p.Operations, p.ValueSizes, p.Shards, p.Concurrency = []loadtest.Operation{loadtest.Get}, []int{8, 2 << 20}, []int{1}, []int{1, 200}
	report, err := loadtest.Run(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, 75, report.Figures[0].Records, "three quarters of the smaller store's capacity")
	require.Zero(t, report.Figures[0].Results[1].Errors)
	require.Contains(t, report.Figures[1].Skipped, "75 records", "fewer than there are workers")
	require.Contains(t, report.Figures[2].Skipped, "up to 1048576 bytes")
	require.Len(t, report.Figures, 4)
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Contains(t, text.String(), "get with 2 MiB was not measured: roomy takes values up to 1048576 bytes")
}

func TestRunEndsAtOnce(t *testing.T) {
	var closed atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	p := plan(target("one", &faulty{closed: &closed}), target("two", &faulty{closed: &closed}))
	p.Duration = time.Hour
	p.Rounds = 360_000 // of 10 ms
	p.Progress = func(done, _ int, _ loadtest.Figure) {
		if done == 3 {
			cancel()
		}
	}
	report, err := loadtest.Run(ctx, p)
	require.NoError(t, err)
	require.True(t, report.Interrupted)
	require.Len(t, report.Figures, 1)
	for _, r := range report.Figures[0].Results {
		require.Len(t, r.Rounds, 3, "only rounds that all stores completed")
		require.Positive(t, r.OpsPerSecond)
		require.Zero(t, r.Errors, "an interrupt is not an error: %s", r.Error)
	}
	require.Equal(t, int32(2), closed.Load())
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Contains(t, text.String(), "Interrupted")
}

func TestRunRefuses(t *testing.T) {
	broken := errors.New("no such thing")
	unopened := loadtest.Target{Name: "shut", Open: func(context.Context, int) (loadtest.Opened, error) { return loadtest.Opened{}, broken }}
	var closed atomic.Int32
	report, err := loadtest.Run(t.Context(), plan(target("one", &faulty{closed: &closed}), unopened))
	require.ErrorIs(t, err, broken)
	require.Empty(t, report.Figures)
	require.Equal(t, int32(1), closed.Load(), "every opened store is closed")

	_, err = loadtest.Run(t.Context(), plan(target("one", &faulty{set: func(store.Write) error { return broken }})))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "record 1 of 8 bytes in one")
}

// An operation costs only what the store costs and allocates nothing more.
func BenchmarkRun(b *testing.B) {
	b.ReportAllocs()
	p := plan(target("one", new(faulty)))
	p.Operations, p.ValueSizes, p.Shards, p.Concurrency = []loadtest.Operation{loadtest.Set}, []int{128}, []int{1}, []int{1}
	for b.Loop() {
		if _, err := loadtest.Run(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}

// What an operation used is told by a metered store, or by another one that is opened for
// it and gets the same records.
func TestRunTellsTheFuel(t *testing.T) {
	var closed atomic.Int32
	metered := func(get, set uint64) func(context.Context, int) (loadtest.Opened, error) {
		var used uint64
		f := &faulty{closed: &closed, get: func() error { used += get; return nil }, set: func(store.Write) error { used += set; return nil }}
		return func(ctx context.Context, shards int) (loadtest.Opened, error) {
			o, err := target("metered", f).Open(ctx, shards)
			o.Fuel = func() uint64 { return used }
			return o, err
		}
	}
	trusted := target("trusted", &faulty{closed: &closed})
	trusted.OpenMetered = metered(70, 90)
	p := plan(loadtest.Target{Name: "one", Open: metered(7, 9)}, trusted, target("native", &faulty{closed: &closed}))
	p.ValueSizes, p.Shards, p.Concurrency = []int{8}, []int{1}, []int{1}
	report, err := loadtest.Run(t.Context(), p)
	require.NoError(t, err)
	require.EqualValues(t, 4, closed.Load())
	for i, want := range []loadtest.Fuel{{Median: 7, Most: 7}, {Median: 9, Most: 9}, {Median: 16, Most: 16}, {Median: 7, Most: 16}} {
		results := report.Figures[i].Results
		require.Equal(t, want, *results[0].Fuel, report.Figures[i].Operation)
		require.Equal(t, loadtest.Fuel{Median: 10 * want.Median, Most: 10 * want.Most}, *results[1].Fuel)
		require.Nil(t, results[2].Fuel)
	}
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Regexp(t, `mix .* one .* 7 +16 `, text.String())
	require.Contains(t, text.String(), "fuel is what one operation uses")
}
