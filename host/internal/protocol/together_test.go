package protocol

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// A caller that leaves before its operation is taken leaves nothing behind, also as the first.
func TestLeavingTheLine(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		st := b.open(t, Config{})
		release := hold(t, b.fake, st)
		contexts := make([]context.Context, 4)
		cancels := make([]context.CancelFunc, 4)
		errs := make([]error, 4)
		ended := make([]chan struct{}, 4)
		var ops []func()
		for n := range contexts {
			contexts[n], cancels[n] = context.WithCancel(t.Context())
			ended[n] = make(chan struct{})
			ops = append(ops, func() {
				defer close(ended[n])
				errs[n] = st.Set(contexts[n], store.Write{Key: fmt.Append(nil, "key", n), Value: revised(1, "v"), Now: 1})
			})
		}
		wait := together(t, st, ops...)
		for _, n := range []int{0, 2} { // the first, and one in the middle
			cancels[n]()
			<-ended[n]
			require.ErrorIs(t, errs[n], context.Canceled)
		}
		require.Equal(t, 2, st.Queue().Waiting)
		release()
		wait()
		require.NoError(t, errs[1])
		require.NoError(t, errs[3])
		require.Equal(t, "set key1, set key3", joined(b.made()))
		require.Zero(t, st.Queue().Waiting)
		_, err := st.Get(t.Context(), []byte("key0"), 1)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = st.Get(t.Context(), []byte("key3"), 1)
		require.NoError(t, err)
	})
}

// A caller that leaves while the guest is in the call does not wait for the answer, and may use its
// key and value again at once. The write may be done all the same, as it was.
func TestLeavingDuringTheCall(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		st := b.open(t, Config{})
		in, out := make(chan struct{}), make(chan struct{})
		b.during = func(int) { close(in); <-out }
		release := hold(t, b.fake, st)
		leaves, cancel := context.WithCancel(t.Context())
		key, value := []byte("leaves"), revised(1, "leaves")
		left := make(chan error, 1)
		var first error
		wait := together(t, st, setting(st, "first", 1, 0, &first),
			func() { left <- st.Set(leaves, store.Write{Key: key, Value: value, Now: 1}) })
		release()
		<-in
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		clear(key)
		clear(value)
		close(out)
		wait()
		require.NoError(t, first)
		got, err := st.Get(t.Context(), []byte("leaves"), 1)
		require.NoError(t, err)
		require.Equal(t, revised(1, "leaves"), got)
		require.EqualValues(t, 2, st.Stats()[0].Ops["set"].Calls)
	})
}

// A caller does not get its key and value back before they are copied.
func TestLeavingBeforeTheCopy(t *testing.T) {
	b := newBatching(newFake(byKey...))
	in, out := make(chan struct{}), make(chan struct{})
	var once sync.Once
	st := b.open(t, Config{Writable: func() error {
		once.Do(func() { close(in); <-out })
		return nil
	}})
	release := hold(t, b.fake, st)
	leaves, cancel := context.WithCancel(t.Context())
	value := revised(1, "leaves")
	left := make(chan error, 1)
	var first error
	wait := together(t, st, setting(st, "first", 1, 0, &first), func() {
		err := st.Set(leaves, store.Write{Key: []byte("leaves"), Value: value, Now: 1})
		clear(value)
		left <- err
	})
	release()
	<-in
	cancel()
	select {
	case <-left:
		t.Error("it has left")
	case <-time.After(20 * time.Millisecond):
	}
	close(out)
	wait()
	require.NoError(t, first)
	got, err := st.Get(t.Context(), []byte("leaves"), 1)
	require.NoError(t, err)
	require.Equal(t, revised(1, "leaves"), got)
}

// Nobody overtakes those that wait, although the lock may be free for a moment.
func TestNobodyOvertakes(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		st := b.open(t, Config{})
		for _, p := range []*party{&st.anybody, &st.shards[0].party} {
			p.n.Store(1)
			defer p.n.Store(0)
		}
		if st.remote() {
			_, _, err := st.enterAny(t.Context(), opGet)
			require.Equal(t, errTogether, err)
			return
		}
		_, err := st.shards[0].enter(t.Context(), opGet)
		require.Equal(t, errTogether, err)
	})
}

// The instance may wait as long as the last of the callers, or as long as it likes if one has no
// deadline. A caller that hangs up ends nothing for the others.
func TestContextOfACallForSeveral(t *testing.T) {
	soon, cancelSoon := context.WithTimeout(t.Context(), time.Hour)
	defer cancelSoon()
	later, cancelLater := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancelLater()
	hangsUp, cancel := context.WithCancel(later)
	wants, _ := later.Deadline()
	for _, c := range []struct {
		name     string
		contexts []context.Context
		want     time.Time
	}{
		{"the latest", []context.Context{soon, hangsUp, soon}, wants},
		{"none", []context.Context{soon, t.Context(), hangsUp}, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBatching(elsewhere())
			st := b.open(t, Config{})
			release := hold(t, b.fake, st)
			var ops []func()
			for n, ctx := range c.contexts {
				ops = append(ops, func() {
					if err := st.Delete(ctx, fmt.Append(nil, n), 1); err != nil {
						t.Error(err)
					}
				})
			}
			b.during = func(int) {
				b.mu.Lock()
				defer b.mu.Unlock()
				if err := b.within[0].Err(); err != nil {
					t.Error(err)
				}
			}
			wait := together(t, st, ops...)
			release()
			wait()
			deadline, _ := b.within[0].Deadline()
			require.Equal(t, c.want, deadline)
		})
	}
	cancel()
}

// A call that was not made because all its callers had left has made nothing fail.
func TestAllHaveLeft(t *testing.T) {
	b := newBatching(elsewhere())
	st := b.open(t, Config{})
	release := hold(t, b.fake, st)
	b.failing("batch", &Left{Err: context.DeadlineExceeded})
	var errs [2]error
	wait := together(t, st, setting(st, "a", 1, 0, &errs[0]), setting(st, "b", 1, 0, &errs[1]))
	release()
	wait()
	require.Equal(t, [2]error{context.DeadlineExceeded, context.DeadlineExceeded}, errs)
	require.Zero(t, b.count("close"))
	require.Zero(t, st.Stats()[0].Ops["set"].Calls)
}

// The context that bounds how long a call waits for an instance says nothing about the call.
func TestWaitingDoesNotBoundTheCall(t *testing.T) {
	for name, f := range placements {
		for _, alone := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " alone=", alone), func(t *testing.T) {
				b := newBatching(f())
				st := b.open(t, Config{QueueWait: time.Hour})
				st.batches.Store(!alone)
				var within []context.Context
				release := hold(t, b.fake, st)
				before := b.fake.within
				inst := st.shards[0].inst.Instance.(*batchInstance)
				b.fake.within = func(op string, shard int) {
					if op == "get" {
						within = append(within, inst.register.Caller)
						if err := inst.register.Caller.Err(); err != nil {
							t.Error(err)
						}
					}
					before(op, shard)
				}
				wait := together(t, st, func() { _, _ = st.Get(context.Background(), []byte("a"), 1) })
				release()
				wait()
				require.Equal(t, []context.Context{context.Background()}, within)
			})
		}
	}
}

// Operations that wait when the store closes, or whose guest pauses after a failure, get the error
// of that, one after the other.
func TestWaitingInVain(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*Store)
		want error
	}{
		{"closed", func(st *Store) { st.shards[0].closed, st.shards[0].inst = true, nil }, store.ErrClosed},
		{"pauses", func(st *Store) { _ = st.shards[0].failed(st.shards[0].inst, "get", &Fault{Kind: ErrTrap}) }, ErrBackoff},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachPlacement(t, func(t *testing.T, b *batching) {
				now := time.Unix(1000, 0)
				st := b.open(t, Config{Now: func() time.Time { return now }})
				s := st.shards[0]
				s.mu.Lock()
				var errs [5]error
				var ops []func()
				for n := range errs {
					ops = append(ops, setting(st, "a", 1, 0, &errs[n]))
				}
				wait := together(t, st, ops...)
				c.do(st)
				s.unlock()
				wait()
				for _, err := range errs {
					require.ErrorIs(t, err, c.want)
				}
				require.Zero(t, st.Queue().Waiting)
				require.Zero(t, st.party(s).n.Load()+st.anybody.n.Load())
			})
		})
	}
}

// A panic of a guest that is Go code reaches all callers of the call and leaves no lock held.
func TestPanicInACallForSeveral(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		st := b.open(t, Config{})
		b.during = func(calls int) {
			if calls == 1 {
				panic("on fire")
			}
		}
		release := hold(t, b.fake, st)
		panics := make([]any, 3)
		var ops []func()
		for n := range panics {
			ops = append(ops, func() {
				defer func() { panics[n] = recover() }()
				_, _ = st.Get(context.Background(), []byte("a"), 1)
			})
		}
		wait := together(t, st, ops...)
		release()
		wait()
		for _, p := range panics {
			require.Contains(t, fmt.Sprint(p), "on fire")
		}
		_, err := st.Get(t.Context(), []byte("a"), 1)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}

// A call for several is one of MaxCalls, and those that wait for a place in it wait together.
func TestPlacesOfCallsForSeveral(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		const shards = 4
		st := b.open(t, Config{Shards: shards, MaxCalls: 1})
		var within, most atomic.Int32
		in, out := make(chan struct{}), make(chan struct{})
		var once sync.Once
		b.during = func(int) {
			n := within.Add(1)
			if n > most.Load() {
				most.Store(n)
			}
			within.Add(-1)
		}
		b.fake.within = func(op string, _ int) {
			if op == "get" {
				once.Do(func() { close(in); <-out })
			}
		}
		key := keyOf(0, shards)
		var all sync.WaitGroup
		all.Go(func() { _, _ = st.Get(context.Background(), key, 1) })
		<-in
		var errs [30]error
		var ops []func()
		for n := range errs {
			ops = append(ops, setting(st, string(keyOf(n%2, shards)), 1, 0, &errs[n]))
		}
		wait := together(t, st, ops...)
		close(out)
		wait()
		all.Wait()
		require.Equal(t, [30]error{}, errs)
		require.EqualValues(t, 1, most.Load())
		require.LessOrEqual(t, len(b.made()), 2)
		require.NotEmpty(t, b.made())
	})
}

// Whoever waits for a shard keeps no place meanwhile, and each place is given back.
func TestPlacesAreGivenBack(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		st := b.open(t, Config{Shards: 4, MaxCalls: 2})
		release := hold(t, b.fake, st)
		var errs [6]error
		var ops []func()
		for n := range errs {
			ops = append(ops, setting(st, string(keyOf(n%4, 4)), 1, 0, &errs[n]))
		}
		wait := together(t, st, ops...)
		release()
		wait()
		require.Equal(t, [6]error{}, errs)
		require.Empty(t, st.queue.slots)
	})
}

// While many goroutines work, each sees what it did, and no change is lost.
func TestManyAtOnce(t *testing.T) {
	for name, newPlacement := range placements {
		for _, shards := range []int{1, 4} {
			t.Run(fmt.Sprint(name, " ", shards), func(t *testing.T) {
				f := newPlacement()
				b := newBatching(f)
				b.touches = true
				st := b.open(t, Config{Shards: shards, MaxCalls: 3})
				var calls atomic.Int64
				f.within = func(string, int) {
					if calls.Add(1)%50 == 0 {
						time.Sleep(20 * time.Microsecond)
					}
				}
				b.result = func(op *abi.BatchOp) (abi.Code, []byte, bool) {
					return abi.Unsupported, nil, len(op.Key)%7 == 0 // now and then
				}
				const workers, rounds = 300, 30
				var won atomic.Int64
				var all sync.WaitGroup
				for w := range workers {
					all.Go(func() {
						worker(t, st, w, rounds, &won)
					})
				}
				all.Wait()
				if t.Failed() {
					return
				}
				value, err := st.Get(t.Context(), []byte("counter"), 1)
				require.NoError(t, err)
				require.EqualValues(t, won.Load(), abi.Revision(value))
				require.Zero(t, st.Queue().Waiting)
				require.NotEmpty(t, b.made())
				require.Zero(t, b.count("close"))
			})
		}
	}
}

// worker has a record of its own, which it knows, and a counter in common.
func worker(t *testing.T, st *Store, w, rounds int, won *atomic.Int64) {
	own := fmt.Append(nil, "own ", w)
	model := store.NewMemory()
	random := rand.New(rand.NewPCG(1, uint64(w)))
	ctx := context.Background()
	for round := range rounds {
		now := store.Millis(round + 1)
		var got, want error
		var value, wanted []byte
		switch random.IntN(6) {
		case 0, 1:
			value, got = st.Get(ctx, own, now)
			wanted, want = model.Get(ctx, own, now)
		case 2:
			write := store.Write{Key: own, Value: revised(uint64(round+1), "v"), Expires: store.Millis(random.IntN(2) * (round + 4)), Now: now,
				Expect: int64(random.IntN(round + 2))}
			got, want = st.Set(ctx, write), model.Set(ctx, write)
		case 3:
			got, want = st.Touch(ctx, own, now+3, now), store.Touch(ctx, model, own, now+3, now)
		case 4:
			got, want = st.Delete(ctx, own, now), model.Delete(ctx, own, now)
		case 5:
			short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(100))*time.Microsecond)
			_, _ = st.Get(short, []byte("counter"), 1)
			cancel()
			for {
				value, err := st.Get(ctx, []byte("counter"), 1)
				expect, next := store.Absent, uint64(1)
				if err == nil {
					expect, next = int64(abi.Revision(value)), abi.Revision(value)+1
				}
				err = st.Set(ctx, store.Write{Key: []byte("counter"), Value: revised(next, ""), Now: 1, Expect: expect})
				if err == nil {
					won.Add(1)
					break
				}
				if err != store.ErrConflict {
					t.Error(err)
					return
				}
			}
		}
		if got != want || string(value) != string(wanted) {
			t.Errorf("round %d of %d: %v %q, want %v %q", round, w, got, value, want, wanted)
			return
		}
	}
}
