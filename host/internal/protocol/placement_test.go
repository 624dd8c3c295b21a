package protocol

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// elsewhere is a guest whose records are stored elsewhere.
func elsewhere() *fake {
	f := newFake(abi.DescribeCapabilities, abi.CapabilityCAS+" "+abi.CapabilityRemote)
	f.shared = make(map[string]store.Record)
	return f
}

// revised is a value with a revision.
func revised(revision uint64, text string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, revision), text...)
}

// meeting holds calls until a given number are in the guest at once.
type meeting struct {
	op     string
	wanted int32
	within atomic.Int32
	most   atomic.Int32
	met    chan struct{}
	once   sync.Once
}

func newMeeting(f *fake, op string, wanted int) *meeting {
	m := &meeting{op: op, wanted: int32(wanted), met: make(chan struct{})}
	f.within = func(op string, _ int) {
		if op != m.op {
			return
		}
		n := m.within.Add(1)
		defer m.within.Add(-1)
		for {
			most := m.most.Load()
			if n <= most || m.most.CompareAndSwap(most, n) {
				break
			}
		}
		if n == m.wanted {
			m.once.Do(func() { close(m.met) })
		}
		select {
		case <-m.met:
		case <-time.After(20 * time.Millisecond):
		}
	}
	return m
}

// If keys choose the instance, two calls for one key run in turn. If records are
// stored elsewhere, as many run at once as there are instances, and no more.
func TestPlacement(t *testing.T) {
	for _, c := range []struct {
		name string
		f    *fake
		want int32
	}{
		{"by key", newFake(), 1},
		{"any free", elsewhere(), 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := c.f.lazy(t, Config{Shards: 4})
			require.NoError(t, st.Set(t.Context(), store.Write{Key: []byte("key"), Value: revised(1, "value"), Now: 1}))
			m := newMeeting(c.f, "get", 4)
			var calls sync.WaitGroup
			for range 16 {
				calls.Go(func() {
					if value, err := st.Get(context.Background(), []byte("key"), 1); err != nil || string(value[8:]) != "value" {
						t.Errorf("%q %v", value, err)
					}
				})
			}
			calls.Wait()
			require.Equal(t, c.want, m.most.Load())
		})
	}
}

// No more instances open than calls run at once.
func TestInstancesOpenAsCallsDo(t *testing.T) {
	f := elsewhere()
	st := f.lazy(t, Config{Shards: 8})
	for n := range 20 {
		require.NoError(t, st.Delete(t.Context(), fmt.Append(nil, "key", n), 1))
	}
	require.Equal(t, []int{0}, f.opened)
	m := newMeeting(f, "delete", 3)
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() { _ = st.Delete(context.Background(), []byte("key"), 1) })
	}
	calls.Wait()
	require.LessOrEqual(t, m.most.Load(), int32(3))
	require.LessOrEqual(t, len(f.opened), 3)
}

// An operation on all records goes to one instance, and all instances see the records
// that one has stored.
func TestOnceForAll(t *testing.T) {
	f := elsewhere()
	st := f.open(t, Config{Shards: 4})
	var want []string
	for n := range 10 {
		key := fmt.Appendf(nil, "key %d", n)
		want = append(want, string(key))
		require.NoError(t, st.Set(t.Context(), store.Write{Key: key, Value: revised(1, "value"), Expires: 100, Now: 1}))
	}
	var keys []string
	for key, err := range st.Keys(t.Context(), 1) {
		require.NoError(t, err)
		keys = append(keys, string(key))
	}
	require.Equal(t, want, keys, "each key once")
	records := 0
	var kept []store.Record
	for r, err := range st.Snapshot(t.Context(), 1) {
		require.NoError(t, err)
		kept = append(kept, r)
		records++
	}
	require.Equal(t, 10, records)
	require.Equal(t, 1, st.Parts())

	stats := st.Stats()
	require.Len(t, stats, 4)
	total := st.Total(stats)
	require.EqualValues(t, 10, total.Records, "the records that all of them hold")
	require.EqualValues(t, 4, total.Evicted, "what each has evicted")

	removed, err := st.Sweep(t.Context(), 1000, 200)
	require.NoError(t, err)
	require.Equal(t, 10, removed)
	require.Equal(t, 1, f.count("sweep"))
	require.True(t, st.SweepShard(t.Context(), 0, at(200)))

	require.NoError(t, st.Restore(t.Context(), func(yield func(store.Record, error) bool) {
		for _, r := range kept {
			if !yield(r, nil) {
				return
			}
		}
	}, 1))
	_, err = st.Get(t.Context(), []byte("key 7"), 1)
	require.NoError(t, err)
	require.NoError(t, st.Clear(t.Context(), 1))
	require.Equal(t, 1, f.count("clear"))
	require.Empty(t, f.shared)

	saved := f.count("save")
	require.NoError(t, st.Recycle(t.Context(), 1))
	require.Equal(t, saved+4, f.count("save"), "each of them")
	require.Equal(t, 8, f.count("new"))
	require.NoError(t, st.Close(t.Context(), 1, nil))
	require.Equal(t, saved+8, f.count("save"))
	require.Equal(t, 8, f.count("close"))
}

// A call that waits for any instance ends with its context, and the next one in line is
// still woken.
func TestWaitingForAnyInstance(t *testing.T) {
	f := elsewhere()
	st := f.open(t, Config{Shards: 2})
	held := make(chan struct{})
	var holding atomic.Int32
	f.within = func(op string, _ int) {
		if op == "set" {
			holding.Add(1)
			<-held
		}
	}
	var sets sync.WaitGroup
	for range 2 {
		sets.Go(func() {
			if err := st.Set(context.Background(), store.Write{Key: []byte("key"), Now: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return holding.Load() == 2 }, time.Minute, time.Millisecond)
	short, cancel := context.WithCancel(t.Context())
	var ended, waits sync.WaitGroup
	for n := range 40 {
		if n%2 == 0 {
			ended.Go(func() {
				if _, err := st.Get(short, []byte("key"), 1); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
			continue
		}
		waits.Go(func() {
			if _, err := st.Get(context.Background(), []byte("key"), 1); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	require.Eventually(t, func() bool { return st.waiting.n.Load() == 40 }, time.Minute, time.Millisecond)
	cancel()
	ended.Wait()
	close(held)
	sets.Wait()
	waits.Wait()
	require.Zero(t, st.waiting.n.Load())
	require.Empty(t, st.waiting.line)
}

// A brief look at an instance wakes the calls that wait for one.
func TestLookersWakeWhoWaits(t *testing.T) {
	for name, look := range map[string]func(*Store){"stats": func(st *Store) { st.Stats() }, "count": (*Store).Count} {
		t.Run(name, func(t *testing.T) {
			f := elsewhere()
			st := f.open(t, Config{})
			require.NoError(t, st.Delete(t.Context(), []byte("key"), 1)) // something to count
			looking, let := make(chan struct{}), make(chan struct{})
			f.within = func(op string, _ int) {
				if op == "stats" {
					close(looking)
					<-let
				}
			}
			var all sync.WaitGroup
			all.Go(func() { look(st) })
			<-looking
			all.Go(func() {
				if _, err := st.Get(context.Background(), []byte("key"), 1); !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
			})
			require.Eventually(t, func() bool { return st.waiting.n.Load() == 1 }, time.Minute, time.Millisecond)
			close(let)
			all.Wait()
		})
	}
}

// A call that was woken but no longer needs an instance wakes the next.
func TestWakingIsPassedOn(t *testing.T) {
	var w waiting
	calls := make([]chan struct{}, 3)
	for i := range calls {
		calls[i] = make(chan struct{}, 1)
		w.add(calls[i], false)
	}
	w.wake()
	require.Len(t, calls[0], 1, "the call that came first")
	w.leave(calls[0])
	require.Len(t, calls[1], 1)
	w.leave(calls[2])
	require.Zero(t, w.n.Load())
	w.wake()
	w.leave(calls[1])
	require.Empty(t, w.line)
}

// An instance that failed is skipped until its pause is over, as long as there is
// another. A call fails only if there is none.
func TestFailuresOfAnyInstance(t *testing.T) {
	var mu sync.Mutex
	now := time.UnixMilli(1_767_225_600_000)
	f := elsewhere()
	st := f.open(t, Config{Shards: 3, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	get := func() error { _, err := st.Get(t.Context(), []byte("key"), 1); return err }
	f.failing("open", &Fault{Kind: ErrTrap, Message: "no more of it"})
	for left := range 3 {
		f.failing("get", &Fault{Kind: ErrTrap, Message: "on fire"})
		err := get()
		require.ErrorContains(t, err, "on fire")
		f.failing("get", nil)
		if left < 2 {
			for range 10 {
				require.ErrorIs(t, get(), store.ErrNotFound, "others serve")
			}
		}
	}
	require.ErrorIs(t, get(), ErrBackoff)
	mu.Lock()
	now = now.Add(firstBackoff)
	mu.Unlock()
	f.failing("open", nil)
	require.ErrorIs(t, get(), store.ErrNotFound)
	require.Equal(t, 4, len(f.opened))
}

// A call that found others busy and this one paused does not wait for the others for ever.
func TestPauseEndsWhileOthersHang(t *testing.T) {
	f := elsewhere()
	var asked atomic.Int32
	st := f.open(t, Config{Shards: 2, Now: func() time.Time { asked.Add(1); return time.Now() }})
	hang := make(chan struct{})
	var hanging atomic.Bool
	f.within = func(op string, _ int) {
		if op == "set" {
			hanging.Store(true)
			<-hang
		}
	}
	var set sync.WaitGroup
	for range 5 { // so that the pause has not ended yet
		st.Poison(1, &Fault{Kind: ErrTrap})
	}
	set.Go(func() { _ = st.Set(context.Background(), store.Write{Key: []byte("key"), Now: 1}) })
	require.Eventually(t, hanging.Load, time.Minute, time.Millisecond)
	patient, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	asked.Store(0)
	_, err := st.Get(patient, []byte("key"), 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Less(t, asked.Load(), int32(50), "it sleeps meanwhile")
	close(hang)
	set.Wait()
}

// If records are stored elsewhere, the host cannot compare for a guest.
func TestRemoteNeedsCAS(t *testing.T) {
	f := newFake(abi.DescribeCapabilities, abi.CapabilityRemote)
	st := f.lazy(t, Config{Shards: 2})
	err := st.Open(0)
	require.ErrorIs(t, err.(*Fault).Kind, ErrProtocol)
	require.ErrorContains(t, err, "the capability remote and not cas")
	require.Empty(t, f.opened)
}

// A touch by reading and writing neither overwrites what others store meanwhile nor
// brings back what they remove.
func TestTouchWhereOthersWrite(t *testing.T) {
	key := []byte("key")
	for _, c := range []struct {
		name  string
		other func(f *fake)
		want  error
		value string
	}{
		{"nobody", func(*fake) {}, nil, "first"},
		{"another value", func(f *fake) { f.shared["key"] = store.Record{Key: key, Value: revised(2, "second"), Expires: 50} }, nil, "second"},
		{"removed", func(f *fake) { delete(f.shared, "key") }, store.ErrNotFound, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := elsewhere()
			st := f.open(t, Config{Shards: 2})
			require.NoError(t, st.Set(t.Context(), store.Write{Key: key, Value: revised(1, "first"), Expires: 50, Now: 1}))
			once := true
			f.within = func(op string, _ int) {
				if op == "set" && once { // between the touch's reading and writing
					once = false
					f.mu.Lock()
					c.other(f)
					f.mu.Unlock()
				}
			}
			require.ErrorIs(t, st.Touch(t.Context(), key, 99, 1), c.want)
			f.within = func(string, int) {}
			value, err := st.Get(t.Context(), key, 98)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.value, string(value[8:]))
			require.NoError(t, st.Touch(t.Context(), key, 5, 5), "an expiry that has passed removes")
			require.Empty(t, f.shared)
		})
	}
	f := elsewhere()
	st := f.open(t, Config{})
	require.NoError(t, st.Set(t.Context(), store.Write{Key: key, Value: revised(1, "first"), Now: 1}))
	revision := uint64(1)
	f.within = func(op string, _ int) {
		if op == "set" {
			f.mu.Lock()
			revision++
			f.shared["key"] = store.Record{Key: key, Value: revised(revision, "again")}
			f.mu.Unlock()
		}
	}
	err := st.Touch(t.Context(), key, 99, 1)
	require.ErrorIs(t, err, store.ErrUnavailable)
	f.within = func(string, int) {}
	f.shared["key"] = store.Record{Key: key}
	require.ErrorIs(t, st.Touch(t.Context(), key, 99, 1), store.ErrUnsupported, "no revision to go by")
}
