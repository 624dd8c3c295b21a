package protocol

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// queued is a store whose first set stays in the guest until let is closed.
func queued(t *testing.T, f *fake, config Config) (st *Store, let func()) {
	if f.shared == nil {
		f.shared = make(map[string]store.Record)
	}
	st = f.open(t, config)
	held := make(chan struct{})
	let = sync.OnceFunc(func() { close(held) })
	t.Cleanup(let)
	var within atomic.Bool
	f.within = func(op string, _ int) {
		if op == "set" {
			within.Store(true)
			<-held
		}
	}
	go func() { _ = st.Set(context.Background(), store.Write{Key: fuelKey, Value: revised(1, "v"), Now: 1}) }()
	require.Eventually(t, within.Load, time.Minute, time.Millisecond)
	return st, let
}

var (
	byKey    = []string{abi.DescribeCapabilities, abi.CapabilityCAS}
	anywhere = []string{abi.DescribeCapabilities, abi.CapabilityCAS + " " + abi.CapabilityRemote}
)

// queueing are guests of every kind whose calls wait: by key or for any instance, and each by itself or
// together.
var queueing = map[string]func() *fake{
	"by key":             func() *fake { return newFake(byKey...) },
	"anywhere":           func() *fake { return newFake(anywhere...) },
	"by key, together":   func() *fake { return newBatching(newFake(byKey...)).fake },
	"anywhere, together": func() *fake { return newBatching(newFake(anywhere...)).fake },
}

func operations(st *Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"get": func(ctx context.Context) error { _, err := st.Get(ctx, fuelKey, 1); return err },
		"set": func(ctx context.Context) error {
			return st.Set(ctx, store.Write{Key: fuelKey, Value: revised(1, "v"), Now: 1})
		},
		"touch":  func(ctx context.Context) error { return st.Touch(ctx, fuelKey, 9, 1) },
		"delete": func(ctx context.Context) error { return st.Delete(ctx, fuelKey, 1) },
	}
}

// A call that finds the queue full fails at once, says which bound it was and how many there are,
// and does not reach the guest. Those that wait are served, or leave with their context.
func TestQueueIsBounded(t *testing.T) {
	for name, newFake := range queueing {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			st, let := queued(t, f, Config{Shards: 1, MaxQueue: 3})
			var waiting sync.WaitGroup
			for range 2 {
				waiting.Go(func() {
					_, err := st.Get(context.Background(), fuelKey, 1)
					if err != nil && !errors.Is(err, store.ErrNotFound) {
						t.Error(err)
					}
				})
			}
			leaves, cancel := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() { _, err := st.Get(leaves, fuelKey, 1); left <- err }()
			require.Eventually(t, func() bool { return st.Queue().Waiting == 3 }, time.Minute, time.Millisecond)
			for op, call := range operations(st) {
				err := call(context.Background())
				require.ErrorIs(t, err, ErrBusy, op)
				require.ErrorContains(t, err, op)
				require.ErrorContains(t, err, "3 calls wait for it already, as many as may (MaxQueue)")
				require.Positive(t, f.last().RetryAfter)
			}
			require.Equal(t, QueueStats{Waiting: 3, Full: 4}, st.Queue())
			cancel()
			require.ErrorIs(t, <-left, context.Canceled)
			require.Equal(t, QueueStats{Waiting: 2, Full: 4}, st.Queue())
			require.Zero(t, f.count("get"))
			// What the host does for itself is never refused.
			saved := make(chan error, 1)
			go func() { saved <- st.Save(context.Background(), 1) }()
			let()
			waiting.Wait()
			require.NoError(t, <-saved)
			require.Equal(t, 2, f.count("get")+2*f.count("batch"))
			require.Equal(t, QueueStats{Full: 4}, st.Queue())
		})
	}
}

// A call waits no longer than it may, and its own context counts as before.
func TestQueueWait(t *testing.T) {
	for name, newFake := range queueing {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			st, _ := queued(t, f, Config{Shards: 1, QueueWait: 20 * time.Millisecond})
			for op, call := range operations(st) {
				err := call(context.Background())
				require.ErrorIs(t, err, ErrBusy, op)
				require.ErrorContains(t, err, "the call has waited for 20ms, as long as it may (QueueWait)")
				require.Equal(t, 20*time.Millisecond, f.last().RetryAfter)
				short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				require.ErrorIs(t, call(short), context.DeadlineExceeded)
				cancel()
			}
			assert.Equal(t, QueueStats{Late: 4}, st.Queue())
			assert.Zero(t, f.count("get"))
		})
	}
}

// Fewer calls than there are shards run at once if the config says so.
func TestMaxCalls(t *testing.T) {
	for name, newFake := range queueing {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.shared = make(map[string]store.Record)
			st := f.open(t, Config{Shards: 8, MaxCalls: 2})
			m := newMeeting(f, "delete", 3)
			var calls sync.WaitGroup
			for n := range 32 {
				calls.Go(func() {
					if err := st.Delete(context.Background(), append([]byte{byte(n)}, fuelKey[1:]...), 1); err != nil {
						t.Error(err)
					}
				})
			}
			calls.Wait()
			require.LessOrEqual(t, m.most.Load(), int32(2))
			if !st.batches.Load() { // of which one may have been for all the others
				require.Equal(t, int32(2), m.most.Load())
			}
			require.Empty(t, st.queue.slots)
			require.Equal(t, QueueStats{}, st.Queue())
			f.within = func(string, int) {}
			f.failing("delete", &Fault{Kind: ErrTrap})
			for range 5 {
				require.Error(t, st.Delete(t.Context(), fuelKey, 1))
			}
			require.Empty(t, st.queue.slots, "calls that fail give their places back")
		})
	}
}

// Without a bound, calls wait as long as their context lasts.
func TestQueueWithoutBound(t *testing.T) {
	st, let := queued(t, newFake(byKey...), Config{Shards: 1, MaxQueue: -1, QueueWait: -1})
	var calls sync.WaitGroup
	for range DefaultQueue + 10 {
		calls.Go(func() {
			if err := st.Delete(context.Background(), fuelKey, 1); err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return st.Queue().Waiting == DefaultQueue+10 }, time.Minute, time.Millisecond)
	let()
	calls.Wait()
	require.Equal(t, QueueStats{}, st.Queue())
}

func (f *fake) last() *Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failures[len(f.failures)-1]
}
