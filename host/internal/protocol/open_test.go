package protocol

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// keyOf returns a key that belongs to a shard.
func keyOf(shard, shards int) []byte {
	for n := 0; ; n++ {
		if key := fmt.Append(nil, "key", n); abi.ShardOf(key, shards) == shard {
			return key
		}
	}
}

// A shard opens at its first call, after the first shard, and no other shard does.
func TestShardsOpenWhenNeeded(t *testing.T) {
	f := newFake()
	st := f.lazy(t, Config{Shards: 8})
	require.Nil(t, st.Description())
	require.NoError(t, st.Set(t.Context(), store.Write{Key: keyOf(5, 8), Now: 1}))
	require.Equal(t, []int{0, 5}, f.opened)
	require.NoError(t, st.Delete(t.Context(), keyOf(5, 8), 1))
	_, err := st.Get(t.Context(), keyOf(3, 8), 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, []int{0, 5, 3}, f.opened)

	// The host's own steps open no shard.
	require.NoError(t, st.Save(t.Context(), 1))
	require.Equal(t, 3, f.count("save"))
	for i := range 8 {
		require.NoError(t, st.SaveShard(t.Context(), i, at(1)))
		require.True(t, st.SweepShard(t.Context(), i, at(1)))
		require.True(t, st.TellTime(t.Context(), i, 1))
	}
	st.Count()
	require.NoError(t, st.Recycle(t.Context(), 1))
	states := make(map[State]int)
	for _, s := range st.Stats() {
		states[s.State]++
		require.True(t, s.Restarts == 1 || s.State == Resting)
	}
	require.Equal(t, map[State]int{Running: 3, Resting: 5}, states)

	require.NoError(t, st.Clear(t.Context(), 1), "concerns the records of all shards")
	require.Equal(t, 8, f.count("clear"))
	require.NoError(t, st.Close(t.Context(), 1, nil))
	require.Equal(t, f.count("new"), f.count("close"))
	_, err = st.Get(t.Context(), keyOf(3, 8), 1)
	require.ErrorIs(t, err, store.ErrClosed)
}

func TestClosedBeforeItWasOpen(t *testing.T) {
	f := newFake()
	st := f.lazy(t, Config{Shards: 2})
	freed := false
	require.NoError(t, st.Close(t.Context(), 1, func() error { freed = true; return nil }))
	require.True(t, freed)
	_, err := st.Get(t.Context(), []byte("key"), 1)
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, st.Save(t.Context(), 1), store.ErrClosed)
	require.ErrorIs(t, st.Recycle(t.Context(), 1), store.ErrClosed)
	require.Zero(t, f.count("new"))
}

// A shard that fails to open at its first call is treated like one whose replacement
// fails: calls fail at once until it is time for another attempt.
func TestFailuresOfTheFirstCall(t *testing.T) {
	now := time.UnixMilli(1_767_225_600_000)
	for _, c := range []struct {
		name string
		err  error
	}{
		{"an answer", &Answer{Code: abi.NoSpace, Message: "no disk"}},
		{"a fault", &Fault{Kind: ErrTrap, Message: "no disk"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			st := f.lazy(t, Config{Shards: 4, Now: func() time.Time { return now }})
			f.failing("open", c.err)
			get := func() error { _, err := st.Get(t.Context(), keyOf(2, 4), 1); return err }
			err := get()
			require.ErrorIs(t, err, errFake)
			require.ErrorContains(t, err, "open in shard 0")
			require.ErrorContains(t, err, "no disk")
			require.Equal(t, 1, f.count("open"))
			require.ErrorIs(t, get(), ErrBackoff)
			require.Equal(t, 1, f.count("open"), "not before it is time")
			require.Equal(t, Backoff, st.Stats()[0].State)

			f.failing("open", nil)
			now = now.Add(firstBackoff)
			require.ErrorIs(t, get(), store.ErrNotFound)
			require.Equal(t, []int{0, 2}, f.opened)

			f.failing("open", c.err)
			_, err = st.Get(t.Context(), keyOf(1, 4), 1)
			require.ErrorContains(t, err, "open in shard 1")
			require.ErrorIs(t, get(), store.ErrNotFound, "others notice nothing")
		})
	}
}

// Many simultaneous first calls open each shard once.
func TestFirstCallsAtOnce(t *testing.T) {
	f := newFake()
	st := f.lazy(t, Config{Shards: 8})
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() {
			if err := st.Set(context.Background(), store.Write{Key: keyOf(n%8, 8), Now: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Len(t, f.opened, 8)
	require.Equal(t, 0, f.opened[0])
	require.Equal(t, 8, f.count("new"))
}

// The limits of the description hold from the first call on.
func TestLimitsOfTheFirstCall(t *testing.T) {
	f := newFake(abi.DescribeName, "small", abi.DescribeMaxKey, "64", abi.DescribeMaxValue, "4096")
	st := f.lazy(t, Config{Shards: 2})
	_, err := st.Get(t.Context(), make([]byte, 65), 1)
	require.ErrorIs(t, err, store.ErrTooLarge)
	require.ErrorIs(t, st.Set(t.Context(), store.Write{Key: []byte("a"), Value: make([]byte, 4097)}), store.ErrTooLarge)
	require.Equal(t, "small", st.Description().Name)
	require.Equal(t, "fake", st.Name(), "the config's comes first")
}

// A panic of a guest that is Go code reaches the goroutine of the call and leaves no
// lock held.
func TestPanicOfAGuest(t *testing.T) {
	f := newFake()
	st := f.open(t, Config{Shards: 4})
	var on string
	f.within = func(op string, shard int) {
		if op == on && shard == 2 {
			panic("on fire")
		}
	}
	for _, c := range []struct {
		op string
		do func()
	}{
		{"get", func() { _, _ = st.Get(t.Context(), keyOf(2, 4), 1) }},
		{"set", func() { _ = st.Set(t.Context(), store.Write{Key: keyOf(2, 4), Now: 1}) }},
		{"clear", func() { _ = st.Clear(t.Context(), 1) }},
		{"save", func() { _ = st.Save(t.Context(), 1) }},
		{"keys", func() {
			for range st.Keys(t.Context(), 1) {
			}
		}},
	} {
		on = c.op
		func() {
			defer func() { require.Contains(t, fmt.Sprint(recover()), "on fire", c.op) }()
			c.do()
		}()
	}
	on = ""
	require.NoError(t, st.Clear(t.Context(), 1))
}
