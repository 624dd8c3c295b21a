package protocol

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// asideInstance is a fake that can be put aside, after which no call may be made. It has
// no snapshot.
type asideInstance struct {
	*fakeInstance
	t      testing.TB
	asleep atomic.Bool
	wide   *atomic.Bool // it does not sleep unless it must
}

func (i *asideInstance) Sleep(must bool) (bool, error) {
	require.False(i.t, i.asleep.Load())
	if err := i.f.call("aside", i.shard); err != nil {
		return false, err
	}
	if i.wide.Load() && !must {
		return false, nil
	}
	i.asleep.Store(true)
	return true, nil
}

func (i *asideInstance) Wake() error {
	require.True(i.t, i.asleep.Load())
	if err := i.f.call("wake", i.shard); err != nil {
		return err
	}
	i.asleep.Store(false)
	return nil
}

func (i *asideInstance) Register() *Register { return &i.register }

func (i *asideInstance) Get(key []byte, now store.Millis) ([]byte, error) {
	require.False(i.t, i.asleep.Load())
	return i.fakeInstance.Get(key, now)
}

func (i *asideInstance) Set(w store.Write) error {
	require.False(i.t, i.asleep.Load())
	return i.fakeInstance.Set(w)
}

func newAside(t testing.TB) (f *fake, wide *atomic.Bool) {
	f, wide = newFake(), new(atomic.Bool)
	f.lacks = []string{"snapshot"}
	f.as = func(inst *fakeInstance) Instance { return &asideInstance{fakeInstance: inst, t: t, wide: wide} }
	return f, wide
}

// An instance that can be put aside sleeps without a call of the guest, and goes on as the
// same one: a save that it owes, and an enumeration that was under way, are not lost.
func TestAnInstanceIsPutAside(t *testing.T) {
	f, _ := newAside(t)
	var opened, woken atomic.Int64
	st := f.open(t, Config{Shards: 4, SaveEach: true,
		Opened: func(int) { opened.Add(1) }, Woken: func(int) { woken.Add(1) }})
	fillSleeper(t, st, 40)
	saves := f.count("save")
	for round := range 3 {
		require.NoError(t, st.Sleep(t.Context(), 1))
		require.True(t, st.Resting())
		require.Equal(t, saves, f.count("save"))
		for i, s := range st.Stats() {
			require.Equal(t, Resting, s.State)
			require.False(t, st.Unsaved(i))
			require.True(t, st.SweepShard(t.Context(), i, at(1)))
			require.NoError(t, st.SleepIfIdle(t.Context(), i, 1))
		}
		require.NoError(t, st.Save(t.Context(), 1))
		require.EqualValues(t, 4*round, woken.Load(), "nothing of this wakes anybody")
		requireFilled(t, st, 40)
	}
	require.EqualValues(t, 4, opened.Load())
	require.Equal(t, 4, f.count("new"))
	require.Zero(t, f.count("close"))

	n := 0
	for _, err := range st.Keys(t.Context(), 1) {
		require.NoError(t, err)
		require.NoError(t, st.Sleep(t.Context(), 1))
		n++
	}
	require.Equal(t, 40, n)
	for _, s := range st.Stats() {
		require.Zero(t, s.Restarts)
	}
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.NoError(t, st.Close(t.Context(), 1, nil))
	require.Equal(t, 4, f.count("close"))
	require.EqualValues(t, woken.Load(), f.count("wake"), "closing wakes nobody")
}

// If there is no room to wake an instance it sleeps on, and the caller learns why. If it
// cannot be woken any more, it has failed.
func TestWakingIsRefused(t *testing.T) {
	f, _ := newAside(t)
	now := time.Unix(1000, 0)
	st := f.open(t, Config{Now: func() time.Time { return now }})
	fillSleeper(t, st, 3)
	require.NoError(t, st.Sleep(t.Context(), 1))
	f.failing("wake", &Answer{Refused: ErrBudget, Limit: "room", Allowed: 5, Used: 6})
	for range 3 {
		_, err := st.Get(t.Context(), []byte("key1"), 1)
		require.ErrorIs(t, err, ErrBudget)
		last := f.failures[len(f.failures)-1]
		require.Equal(t, Failure{Plugin: "fake", Op: "open", Kind: ErrBudget, Limit: "room", Allowed: 5, Used: 6}, *last)
		require.Equal(t, Resting, st.Stats()[0].State, "without a pause")
	}
	f.failing("wake", nil)
	requireFilled(t, st, 3)
	require.Zero(t, st.Stats()[0].Restarts)

	require.NoError(t, st.Sleep(t.Context(), 1))
	f.failing("wake", &Fault{Kind: ErrTrap, Message: "damaged"})
	_, err := st.Get(t.Context(), []byte("key1"), 1)
	require.ErrorIs(t, err, ErrTrap)
	require.Equal(t, Backoff, st.Stats()[0].State)
	require.Equal(t, 1, f.count("close"))
	now = now.Add(time.Minute)
	_, err = st.Get(t.Context(), []byte("key1"), 1)
	require.Equal(t, store.ErrNotFound, err)
	require.EqualValues(t, 1, st.Stats()[0].Restarts)
}

// An instance that cannot sleep goes on.
func TestPuttingAsideFails(t *testing.T) {
	f, wide := newAside(t)
	st := f.open(t, Config{})
	fillSleeper(t, st, 3)
	f.failing("aside", &Answer{Refused: ErrBudget})
	require.ErrorIs(t, st.Sleep(t.Context(), 1), ErrBudget)
	slept, err := st.TrySleep(0)
	require.False(t, slept)
	require.Error(t, err)
	requireFilled(t, st, 3)
	f.failing("aside", nil)

	wide.Store(true)
	for range 3 {
		require.NoError(t, st.SleepIfIdle(t.Context(), 0, 1))
		require.False(t, st.Resting())
	}
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.True(t, st.Resting())
	requireFilled(t, st, 3)
}

// TrySleep and TryIdle leave a shard alone that somebody uses, that has no instance, or one that
// cannot be put aside; and Poison ends an instance that sleeps.
func TestTryingToSleep(t *testing.T) {
	f, _ := newAside(t)
	now := time.Unix(1000, 0)
	st := f.lazy(t, Config{Now: func() time.Time { return now }})
	never := func(Instance) { t.Error("called") }
	require.False(t, st.TryIdle(0, never))
	fillSleeper(t, st, 3)
	f.within = func(op string, shard int) {
		if op == "get" {
			slept, err := st.TrySleep(shard)
			require.NoError(t, err)
			require.False(t, slept)
			require.False(t, st.TryIdle(shard, never))
		}
	}
	requireFilled(t, st, 3)
	f.within = func(string, int) {}
	slept, err := st.TrySleep(0)
	require.NoError(t, err)
	require.True(t, slept)
	require.False(t, st.TryIdle(0, never))
	slept, err = st.TrySleep(0)
	require.NoError(t, err)
	require.False(t, slept)

	st.Poison(0, &Fault{Kind: ErrTrap})
	require.Equal(t, 1, f.count("close"))
	now = now.Add(time.Minute)
	_, err = st.Get(t.Context(), []byte("key1"), 1)
	require.Equal(t, store.ErrNotFound, err)
	require.NoError(t, st.Close(t.Context(), 1, nil))
	require.False(t, st.TryIdle(0, never))

	other := newFake().open(t, Config{})
	require.False(t, other.TryIdle(0, never))
}

// An archive gets the records of instances that are put aside.
func TestArchiveOfWhatIsPutAside(t *testing.T) {
	f, _ := newAside(t)
	f.lacks = nil
	st := f.open(t, Config{Shards: 2})
	a := &fakeArchive{}
	st.SetArchive(a)
	fillSleeper(t, st, 20)
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.NoError(t, st.Save(t.Context(), 1))
	require.Equal(t, 20, a.records)
	require.NoError(t, st.Sleep(t.Context(), 1))
	require.NoError(t, st.Close(t.Context(), 1, nil))
	require.Equal(t, 20, a.records)
	require.True(t, a.last)
}

// An instance knows for how long a call may wait as long as an operation lasts, and no longer.
func TestRegisterHasTheCaller(t *testing.T) {
	f, _ := newAside(t)
	var inst *asideInstance
	as := f.as
	f.as = func(i *fakeInstance) Instance { inst = as(i).(*asideInstance); return inst }
	st := f.open(t, Config{})
	within, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.within = func(op string, _ int) {
		if op == "set" || op == "get" {
			require.Equal(t, within, inst.register.Caller)
		}
	}
	for range 2 {
		require.NoError(t, st.Set(within, store.Write{Key: []byte("key"), Value: []byte("12345678"), Now: 1}))
		_, err := st.Get(within, []byte("key"), 1)
		require.NoError(t, err)
		require.Equal(t, context.Background(), inst.register.Caller)
		require.NoError(t, st.Sleep(within, 1))
	}
	// A caller that left has made nothing fail.
	f.failing("get", &Left{Err: context.Canceled})
	_, err := st.Get(within, []byte("key"), 1)
	require.True(t, errors.Is(err, context.Canceled))
	require.Zero(t, f.count("close"))
}
