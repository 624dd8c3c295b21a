package protocol

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

var fuelKey = []byte("0123456789abcdef0123456789abcdef")

// TestFuelOfEachOperation counts what an operation used, and not what opening the
// instance or asking for its counts used, also for operations that fail and after a failure.
func TestFuelOfEachOperation(t *testing.T) {
	f := newFake("capabilities", "cas")
	st := f.open(t, Config{})
	write := store.Write{Key: fuelKey, Value: []byte("12345678"), Now: 1}

	_, err := st.Get(t.Context(), fuelKey, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, st.Set(t.Context(), write))
	require.NoError(t, st.Set(t.Context(), write))
	ops := st.Stats()[0].Ops
	assert.EqualValues(t, 7, ops["get"].Fuel)
	assert.EqualValues(t, 22, ops["set"].Fuel)
	assert.EqualValues(t, 100, st.Stats()[0].OpenFuel)

	require.NoError(t, st.Set(t.Context(), write))
	assert.EqualValues(t, 33, st.Stats()[0].Ops["set"].Fuel, "the guest was asked for its counts meanwhile")

	f.failing("set", &Fault{Kind: ErrTrap})
	require.Error(t, st.Set(t.Context(), write))
	f.failing("set", nil)
	require.Eventually(t, func() bool { return st.Set(t.Context(), write) == nil }, time.Minute, time.Millisecond)
	assert.EqualValues(t, 55, st.Stats()[0].Ops["set"].Fuel, "the failed one, and the one in the next instance")
}

// TestAllow refuses the operations of callers, and nothing that keeps what they have
// stored.
func TestAllow(t *testing.T) {
	var refuse *Failure
	for _, describes := range [][]string{{"capabilities", "cas"}, {"capabilities", "cas remote"}} {
		refuse = nil
		f := newFake(describes...)
		st := f.open(t, Config{Allow: func() *Failure { return refuse }})
		write := store.Write{Key: fuelKey, Value: []byte("12345678"), Now: 1}
		require.NoError(t, st.Set(t.Context(), write))
		refuse = &Failure{Kind: ErrRate, RetryAfter: time.Second}

		_, err := st.Get(t.Context(), fuelKey, 1)
		assert.ErrorIs(t, err, ErrRate)
		assert.ErrorContains(t, err, "get in shard -1")
		assert.ErrorIs(t, st.Set(t.Context(), write), ErrRate)
		assert.ErrorIs(t, st.Touch(t.Context(), fuelKey, 2, 1), ErrRate)
		assert.ErrorIs(t, st.Delete(t.Context(), fuelKey, 1), ErrRate)
		assert.ErrorIs(t, st.Clear(t.Context(), 1), ErrRate)
		for _, err := range st.Keys(t.Context(), 1) {
			assert.ErrorIs(t, err, ErrRate)
		}
		for _, err := range st.Snapshot(t.Context(), 1) {
			assert.ErrorIs(t, err, ErrRate)
		}
		for _, op := range []string{"get", "touch", "delete", "clear", "keys", "snapshot"} {
			assert.Zero(t, f.count(op), op)
		}
		assert.Equal(t, 1, f.count("set"))

		require.NoError(t, st.Save(t.Context(), 1))
		_, err = st.Sweep(t.Context(), 10, 1)
		require.NoError(t, err)
		records := func(yield func(store.Record, error) bool) {
			yield(store.Record{Key: fuelKey, Value: []byte("87654321")}, nil)
		}
		require.NoError(t, st.Restore(t.Context(), records, 1))
	}
}

// TestAllowAfterWaiting refuses operations that began to wait for a shard before the
// fuel was used up.
func TestAllowAfterWaiting(t *testing.T) {
	var spent atomic.Bool
	f := newFake("capabilities", "cas")
	st := f.open(t, Config{Allow: func() *Failure {
		if spent.Load() {
			return &Failure{Kind: ErrRate, RetryAfter: time.Second}
		}
		return nil
	}})
	write := store.Write{Key: fuelKey, Value: []byte("12345678"), Now: 1}
	require.NoError(t, st.Set(t.Context(), write))
	before := f.count("get") + f.count("set") + f.count("delete")

	s := st.shards[0]
	s.mu.Lock()
	waiting := make(chan error, 3)
	go func() { _, err := st.Get(t.Context(), fuelKey, 1); waiting <- err }()
	go func() { waiting <- st.Set(t.Context(), write) }()
	go func() { waiting <- st.Delete(t.Context(), fuelKey, 1) }()
	require.Eventually(t, func() bool { return len(s.line) == 1 }, time.Minute, time.Millisecond)
	time.Sleep(10 * time.Millisecond) // the others are behind it, or come later
	spent.Store(true)
	s.unlock()
	for range 3 {
		assert.ErrorIs(t, <-waiting, ErrRate)
	}
	assert.Equal(t, before, f.count("get")+f.count("set")+f.count("delete"))
}
