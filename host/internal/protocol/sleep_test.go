package protocol

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// fillSleeper writes n records.
func fillSleeper(t *testing.T, st *Store, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, st.Set(t.Context(), store.Write{Key: fmt.Append(nil, "key", i), Value: fmt.Append(nil, "12345678", i), Now: 1}))
	}
}

func requireFilled(t *testing.T, st *Store, n int) {
	t.Helper()
	for i := range n {
		value, err := st.Get(t.Context(), fmt.Append(nil, "key", i), 1)
		require.NoError(t, err)
		require.Equal(t, fmt.Append(nil, "12345678", i), value)
	}
}

// A shard that sleeps has no instance but all its records. A call brings it up; no
// step of a scheduler does.
func TestSleepLosesNothing(t *testing.T) {
	f := newFake()
	st := f.open(t, Config{Shards: 4})
	fillSleeper(t, st, 100)
	saves := f.count("save")
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.True(t, st.Resting())
	require.Equal(t, 4, f.count("close"))
	require.Equal(t, saves+4, f.count("save"), "saved first")
	for i := range 4 {
		require.NoError(t, st.SaveShard(t.Context(), i, at(1)))
		require.True(t, st.SweepShard(t.Context(), i, at(1)))
		require.True(t, st.TellTime(t.Context(), i, 1))
		require.False(t, st.Awake(i))
		require.False(t, st.Unsaved(i))
		require.NoError(t, st.SleepIfIdle(t.Context(), i, 1))
	}
	require.NoError(t, st.Save(t.Context(), 1))
	require.NoError(t, st.Recycle(t.Context(), 1))
	require.NoError(t, st.Sleep(t.Context(), 1))
	st.Count()
	require.Equal(t, 4, f.count("new"), "none of this brings anything up")
	for _, s := range st.Stats() {
		require.Equal(t, Resting, s.State)
	}

	requireFilled(t, st, 100)
	require.Equal(t, 8, f.count("new"))
	for _, s := range st.Stats() {
		require.Equal(t, Running, s.State)
		require.Zero(t, s.Restarts, "nothing has failed")
	}
}

// A guest that keeps files finds them again: the host keeps none of its records.
func TestSleepOfAGuestWithFiles(t *testing.T) {
	f := newFake()
	f.shared = make(map[string]store.Record)
	f.lacks = []string{"snapshot"}
	st := f.open(t, Config{Shards: 2, KeepsFiles: true})
	fillSleeper(t, st, 10)
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.Zero(t, f.count("snapshot"))
	requireFilled(t, st, 10)
}

// A guest that can do neither is not put to sleep.
func TestSleepIsNotForAGuestWithoutSnapshots(t *testing.T) {
	f := newFake()
	f.lacks = []string{"snapshot"}
	st := f.open(t, Config{Shards: 2})
	fillSleeper(t, st, 10)
	require.ErrorIs(t, st.Sleep(t.Context(), 1), store.ErrUnsupported)
	require.False(t, st.Resting())
	require.Zero(t, f.count("close"))
	requireFilled(t, st, 10)
}

// If saving fails, the instance stays. If a new instance cannot take the records, they
// stay kept for the next attempt.
func TestSleepThatFails(t *testing.T) {
	f := newFake()
	now := time.UnixMilli(1)
	st := f.open(t, Config{Shards: 1, Now: func() time.Time { return now }})
	fillSleeper(t, st, 10)
	f.failing("save", &Answer{Code: abi.NoSpace})
	require.Error(t, st.Sleep(t.Context(), 1))
	require.Zero(t, f.count("close"))
	f.failing("save", nil)
	require.NoError(t, st.Sleep(t.Context(), 1))

	for _, failure := range []error{&Answer{Code: abi.NoSpace}, &Fault{Kind: ErrTrap}, &Fault{Kind: ErrBudget}} {
		for _, op := range []string{"new", "open", "set"} { // this guest is restored by these
			f.failing(op, failure)
			_, err := st.Get(t.Context(), []byte("key1"), 1)
			require.ErrorIs(t, err, errFake)
			require.NotErrorIs(t, err, store.ErrNotFound)
			f.failing(op, nil)
			now = now.Add(maxBackoff)
		}
	}
	requireFilled(t, st, 10)
}

// What is kept of a sleeping instance takes room, which it gives back when the instance
// has its records again, when it cannot be collected, and when the store closes. Without
// room the instance goes on.
func TestSleepTakesRoom(t *testing.T) {
	f := newFake()
	room := int64(1 << 20)
	var used atomic.Int64
	st := f.open(t, Config{Shards: 2, Keep: func(bytes int) error {
		if used.Load()+int64(bytes) > room {
			return &Fault{Kind: ErrBudget, Message: "no room"}
		}
		used.Add(int64(bytes))
		return nil
	}, Drop: func(bytes int) { used.Add(-int64(bytes)) }})
	fillSleeper(t, st, 100)
	require.NoError(t, st.Sleep(t.Context(), 1))
	all := used.Load()
	require.Greater(t, all, int64(100*len("key1"+"123456781")))
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.Equal(t, all, used.Load(), "once")
	requireFilled(t, st, 100)
	require.Zero(t, used.Load())

	for room = all - 1; room > 0; room /= 2 {
		require.ErrorIs(t, st.Sleep(t.Context(), 1), errFake)
		require.LessOrEqual(t, used.Load(), room)
		require.False(t, st.Resting())
		requireFilled(t, st, 100)
		require.Zero(t, used.Load())
	}
	room = all
	f.failing("snapshot", &Fault{Kind: ErrTrap})
	require.Error(t, st.Sleep(t.Context(), 1))
	require.Zero(t, used.Load(), "a guest that does not give its records")
	f.failing("snapshot", nil)
}

// The same, for a store that is closed while its instances sleep.
func TestCloseGivesRoomBack(t *testing.T) {
	f := newFake()
	var used atomic.Int64
	st := f.open(t, Config{Shards: 2, Keep: func(bytes int) error { used.Add(int64(bytes)); return nil }, Drop: func(bytes int) { used.Add(-int64(bytes)) }})
	fillSleeper(t, st, 100)
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.Positive(t, used.Load())
	require.NoError(t, st.Close(t.Context(), 1, nil))
	require.Zero(t, used.Load())
}

// Only a shard that nobody called for a whole interval goes to sleep.
func TestIdleShardsSleep(t *testing.T) {
	f := newFake()
	st := f.open(t, Config{Shards: 2})
	key := keyOf(1, 2)
	step := func() {
		for i := range 2 {
			require.NoError(t, st.SleepIfIdle(t.Context(), i, 1))
		}
	}
	require.NoError(t, st.Set(t.Context(), store.Write{Key: key, Value: []byte("12345678"), Now: 1}))
	step()
	require.False(t, st.Awake(0), "it was never called")
	require.True(t, st.Awake(1))
	_, err := st.Get(t.Context(), key, 1)
	require.NoError(t, err)
	step()
	require.True(t, st.Awake(1))
	require.NoError(t, st.Save(t.Context(), 1))
	require.True(t, st.SweepShard(t.Context(), 1, at(1)))
	step()
	require.False(t, st.Awake(1), "the host's own steps are not calls")
	_, err = st.Get(t.Context(), key, 1)
	require.NoError(t, err)
	step()
	require.True(t, st.Awake(1))

	// A shard in a call is skipped, without waiting for it.
	inst, err := st.shards[1].lock(t.Context())
	require.NoError(t, err)
	require.NotNil(t, inst)
	step()
	st.shards[1].unlock()
	require.True(t, st.Awake(1))
}

// An enumeration does not continue in a replaced instance, whose cursors differ.
func TestSleepDuringAnEnumeration(t *testing.T) {
	f := newFake()
	st := f.open(t, Config{Shards: 1})
	fillSleeper(t, st, 50)
	n := 0
	var last error
	for _, err := range st.Snapshot(t.Context(), 1) {
		if n++; n == 1 {
			require.NoError(t, st.Sleep(t.Context(), 1))
		}
		last = err
	}
	if n < 50 { // it comes in one chunk otherwise
		require.ErrorIs(t, last, store.ErrUnavailable)
	}
	requireFilled(t, st, 50)
}

// A write that was accepted before is durable, however many instances there were since.
func TestSleepBetweenAWriteAndItsSave(t *testing.T) {
	f := newFake()
	f.shared = make(map[string]store.Record)
	st := f.open(t, Config{Shards: 1, KeepsFiles: true, SaveEach: true})
	s := st.shards[0]
	m, err := s.write(t.Context(), opSet, func(_ *shard, inst *runner) error {
		return inst.set(&store.Write{Key: []byte("k"), Value: []byte("12345678"), Now: 1})
	})
	require.NoError(t, err)
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.NoError(t, s.saveUpTo(m, 1), "it was saved")
	_, err = st.Get(t.Context(), []byte("k"), 1)
	require.NoError(t, err)
	require.NoError(t, s.saveUpTo(m, 1))
}

// The archive has the records of sleeping shards, in each copy and in the last one.
func TestArchiveOfWhatSleeps(t *testing.T) {
	f := newFake()
	st := f.open(t, Config{Shards: 4})
	a := &fakeArchive{}
	st.SetArchive(a)
	fillSleeper(t, st, 40)
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.NoError(t, st.SaveAll(t.Context(), 1))
	require.Equal(t, 40, a.records)
	require.Empty(t, a.kept)
	require.Equal(t, 4, f.count("new"))
	require.NoError(t, st.Set(t.Context(), store.Write{Key: []byte("key0"), Value: []byte("another value"), Now: 1}))
	require.NoError(t, st.Save(t.Context(), 1))
	require.Equal(t, 40, a.records)
	require.Equal(t, 5, f.count("new"), "the others sleep on")
	require.NoError(t, st.Close(t.Context(), 1, nil))
	require.True(t, a.last)
	require.Equal(t, 40, a.records)
	require.Empty(t, a.kept)
}

// Calls and sleep at the same time: no record is ever missing.
func TestSleepUnderCalls(t *testing.T) {
	f := newFake()
	st := f.open(t, Config{Shards: 4})
	fillSleeper(t, st, 40)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for ctx.Err() == nil {
			if err := st.Sleep(context.Background(), 1); err != nil {
				t.Error(err)
			}
		}
	})
	for range 20 {
		requireFilled(t, st, 40)
		fillSleeper(t, st, 40)
	}
	stop()
	wait.Wait()
}

// fakeArchive counts the records that it gets.
type fakeArchive struct {
	mu      sync.Mutex
	records int
	kept    []int
	last    bool
}

func (a *fakeArchive) Begin(last bool) (Copy, error) { return &fakeCopy{a: a, last: last}, nil }

type fakeCopy struct {
	a       *fakeArchive
	mu      sync.Mutex
	records int
	last    bool
}

func (c *fakeCopy) Add(list []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		_, _, _, rest, ok := abi.NextRecord(list)
		if !ok {
			return true
		}
		c.records++
		list = rest
	}
}

func (c *fakeCopy) Finish(keep []bool, _ func(int, store.Record) bool) error {
	c.a.mu.Lock()
	defer c.a.mu.Unlock()
	c.a.records, c.a.kept, c.a.last = c.records, nil, c.last
	for i, is := range keep {
		if is {
			c.a.kept = append(c.a.kept, i)
		}
	}
	return nil
}

func (c *fakeCopy) Abort() {}
