package protocol

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// placements are fakes of both kinds.
var placements = map[string]func() *fake{
	"by key":   func() *fake { return newFake(byKey...) },
	"anywhere": elsewhere,
}

func eachPlacement(t *testing.T, test func(t *testing.T, b *batching)) {
	for name, f := range placements {
		t.Run(name, func(t *testing.T) { test(t, newBatching(f())) })
	}
}

func setting(st *Store, key string, revision uint64, expect int64, err *error) func() {
	return func() {
		*err = st.Set(context.Background(), store.Write{Key: []byte(key), Value: revised(revision, key), Now: 1, Expect: expect})
	}
}

// Operations that wait for an instance become one call, each with a result and a count of its
// own, and fuel is divided.
func TestWhatWaitsBecomesOneCall(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		b.touches = true
		st := b.open(t, Config{})
		require.NoError(t, st.Set(t.Context(), store.Write{Key: []byte("old"), Value: revised(1, "old"), Now: 1}))
		before := st.Stats()[0].Ops
		release := hold(t, b.fake, st)
		var values [3][]byte
		var errs [8]error
		get := func(n int, key string) func() {
			return func() { values[n], errs[n] = st.Get(context.Background(), []byte(key), 1) }
		}
		wait := together(t, st, get(0, "old"), get(1, "none"),
			setting(st, "new", 1, store.Absent, &errs[3]), setting(st, "old", 2, 7, &errs[4]), get(2, "new"),
			func() { errs[5] = st.Touch(context.Background(), []byte("old"), 50, 1) },
			func() { errs[6] = st.Touch(context.Background(), []byte("none"), 50, 1) },
			func() { errs[7] = st.Delete(context.Background(), []byte("none"), 1) })
		require.Empty(t, b.made())
		release()
		wait()
		require.Equal(t, "get old, get none, set new, set old, get new, touch old, touch none, delete none", joined(b.made()))
		require.Equal(t, [3][]byte{revised(1, "old"), nil, revised(1, "new")}, values)
		require.Equal(t, [8]error{1: store.ErrNotFound, 4: store.ErrConflict, 6: store.ErrNotFound}, errs)
		require.Zero(t, st.Queue().Waiting)

		after := st.Stats()[0].Ops
		require.Equal(t, OpStats{Calls: 3, NotFound: 1, Fuel: 15}, after["get"])
		require.Equal(t, OpStats{Calls: before["set"].Calls + 2, Conflicts: 1, Fuel: before["set"].Fuel + 10}, after["set"])
		require.Equal(t, OpStats{Calls: 2, NotFound: 1, Fuel: 10}, after["touch"])
		require.Equal(t, OpStats{Calls: 1, Fuel: 5}, after["delete"])
	})
}

// What does not divide evenly is the first's.
func TestFuelIsDivided(t *testing.T) {
	require.EqualValues(t, []uint64{4, 2, 2}, []uint64{share(8, 0, 3), share(8, 1, 3), share(8, 2, 3)})
}

// An operation that finds an instance at once, or waits by itself, is the ordinary call.
func TestWhoWaitsAloneMakesTheOrdinaryCall(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		st := b.open(t, Config{})
		var err error
		setting(st, "key", 1, 0, &err)()
		require.NoError(t, err)
		release := hold(t, b.fake, st)
		wait := together(t, st, setting(st, "key", 2, 1, &err))
		release()
		wait()
		require.NoError(t, err)
		_, err = st.Get(t.Context(), []byte("key"), 1)
		require.NoError(t, err)
		require.Empty(t, b.made())
		require.Equal(t, 2, b.count("set"))
		require.Equal(t, 1, b.count("get"))
	})
}

// A call takes up to 256 operations and up to a number of bytes. The others follow in the next,
// in the order of coming.
func TestBoundsOfACallForSeveral(t *testing.T) {
	st, b := (*Store)(nil), (*batching)(nil)
	run := func(t *testing.T, sizes ...int) {
		b = newBatching(newFake(byKey...))
		st = b.open(t, Config{})
		release := hold(t, b.fake, st)
		var ops []func()
		for n, size := range sizes {
			ops = append(ops, func() {
				err := st.Set(context.Background(), store.Write{Key: fmt.Append(nil, n), Value: make([]byte, size), Now: 1})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wait := together(t, st, ops...)
		release()
		wait()
		for n := range sizes {
			_, err := st.Get(t.Context(), fmt.Append(nil, n), 1)
			require.NoError(t, err)
		}
	}
	t.Run("operations", func(t *testing.T) {
		run(t, make([]int, 2*abi.MaxBatch+3)...)
		var lengths []int
		next := 0
		for _, call := range b.made() {
			lengths = append(lengths, len(call))
			for _, op := range call {
				require.Equal(t, fmt.Sprint("set ", next), op)
				next++
			}
		}
		require.Equal(t, []int{abi.MaxBatch, abi.MaxBatch, 3}, lengths)
	})
	t.Run("bytes", func(t *testing.T) {
		const half = mostBatchBytes / 2
		run(t, half-100, 10, half, 10, mostBatchBytes, 10, 10, mostBatchBytes+1)
		require.Equal(t, "set 0, set 1; set 2, set 3; set 5, set 6", joined(b.made()))
		require.Equal(t, 2, b.count("set"), "those too large for a list")
	})
}

// Each operation gets its own error, with its own message.
func TestErrorsOfOneCallForSeveral(t *testing.T) {
	b := newBatching(elsewhere())
	st := b.open(t, Config{})
	b.result = func(op *abi.BatchOp) (abi.Code, []byte, bool) {
		switch string(op.Key) {
		case "full":
			return abi.NoSpace, []byte("no \x1b room"), true
		case "away":
			return abi.Unavailable, nil, true
		case "unknown":
			return -99, []byte(strings.Repeat("x", 3*abi.MaxMessage)), true
		case "clash":
			return abi.Conflict, []byte("twice"), true
		case "none":
			return abi.NotFound, nil, true
		}
		return 0, nil, false
	}
	release := hold(t, b.fake, st)
	var errs [5]error
	var ops []func()
	for n, key := range []string{"full", "away", "unknown", "clash", "fine"} {
		ops = append(ops, setting(st, key, 1, 0, &errs[n]))
	}
	var removed error
	ops = append(ops, func() { removed = st.Delete(context.Background(), []byte("none"), 1) })
	wait := together(t, st, ops...)
	release()
	wait()
	require.NoError(t, removed, "what is not there counts as deleted")
	require.ErrorIs(t, errs[0], store.ErrNoSpace)
	require.ErrorContains(t, errs[0], "set in shard 0: NO_SPACE: no ")
	require.NotContains(t, errs[0].Error(), "\x1b")
	require.ErrorIs(t, errs[1], store.ErrUnavailable)
	require.ErrorIs(t, errs[2], store.ErrInternal)
	require.Less(t, len(errs[2].Error()), 2*abi.MaxMessage)
	require.ErrorIs(t, errs[3], store.ErrConflict)
	require.ErrorContains(t, errs[3], "twice")
	require.NoError(t, errs[4])
	require.Equal(t, OpStats{Calls: 5, Errors: 4, Fuel: 25}, st.Stats()[0].Ops["set"])
	require.Zero(t, b.count("close"), "they are answers")
}

// What the guest leaves to the host is made by itself, and the others are not made again.
func TestWhatIsLeftToTheHost(t *testing.T) {
	b := newBatching(newFake(byKey...))
	st := b.open(t, Config{})
	b.result = func(op *abi.BatchOp) (abi.Code, []byte, bool) { return abi.Unsupported, nil, string(op.Key) == "large" }
	var errs [4]error
	setting(st, "large", 1, 0, &errs[0])()
	release := hold(t, b.fake, st)
	var value []byte
	wait := together(t, st, setting(st, "a", 1, 0, &errs[0]), setting(st, "large", 2, 1, &errs[1]),
		func() { value, errs[2] = st.Get(context.Background(), []byte("large"), 1) },
		func() { errs[3] = st.Touch(context.Background(), []byte("large"), 90, 1) })
	release()
	wait()
	require.Equal(t, [4]error{}, errs)
	require.Equal(t, revised(2, "large"), value)
	require.Equal(t, "set a, set large, get large, touch large", joined(b.made()))
	require.Equal(t, 3, b.count("set"), "at first, and left to the host, and to touch")
	ops := st.Stats()[0].Ops
	require.EqualValues(t, 3, ops["set"].Calls)
	require.EqualValues(t, 1, ops["get"].Calls)
	require.EqualValues(t, 1, ops["touch"].Calls)
	require.EqualValues(t, 2*11+2*5, ops["set"].Fuel)

	// It is known now that this guest cannot touch.
	release = hold(t, b.fake, st)
	wait = together(t, st, setting(st, "a", 1, 0, &errs[0]), setting(st, "b", 1, 0, &errs[1]),
		func() { errs[2] = st.Touch(context.Background(), []byte("a"), 90, 1) }, setting(st, "c", 1, 0, &errs[3]))
	release()
	wait()
	require.Equal(t, [4]error{}, errs)
	require.Len(t, b.made(), 2)
	require.Equal(t, []string{"set a", "set b"}, b.made()[1])
}

// An answer to the whole call says that none was done, and each is made by itself, unless it is
// UNAVAILABLE.
func TestAnswersToTheWholeCall(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		again bool // there is such a call again
		fails bool
	}{
		{"no export", Absent, false, false},
		{"UNSUPPORTED", &Answer{Code: abi.Unsupported}, false, false},
		{"no buffer", &Answer{Code: abi.NoSpace, NoBuffer: true}, false, false},
		{"NO_SPACE", &Answer{Code: abi.NoSpace}, true, false},
		{"INTERNAL", &Answer{Code: abi.Internal}, true, false},
		{"UNAVAILABLE", &Answer{Code: abi.Unavailable, Message: "reset"}, true, true},
		{"refused", &Answer{Refused: ErrBudget}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBatching(newFake(byKey...))
			st := b.open(t, Config{Shards: 1})
			for round := range 2 {
				b.failing("batch", c.err)
				release := hold(t, b.fake, st)
				var errs [3]error
				var ops []func()
				for n := range errs {
					ops = append(ops, setting(st, fmt.Sprint(round, n), 1, store.Absent, &errs[n]))
				}
				wait := together(t, st, ops...)
				release()
				wait()
				for n, err := range errs {
					if c.fails {
						require.ErrorIs(t, err, errFake, n)
						continue
					}
					require.NoError(t, err, n)
				}
			}
			want := 1
			if c.again {
				want = 2
			}
			require.Len(t, b.made(), want)
			require.EqualValues(t, 6, st.Stats()[0].Ops["set"].Calls)
			require.Zero(t, b.count("close"))
			if c.fails {
				require.Zero(t, b.count("set"))
				return
			}
			require.Equal(t, 6, b.count("set"))
		})
	}
}

// A guest without room for a list gets shorter ones.
func TestListsBecomeShorterForLackOfABuffer(t *testing.T) {
	b := newBatching(newFake(byKey...))
	st := b.open(t, Config{})
	b.failing("batch", &Answer{Code: abi.NoSpace, NoBuffer: true})
	for range 2 {
		release := hold(t, b.fake, st)
		var errs [40]error
		var ops []func()
		for n := range errs {
			ops = append(ops, setting(st, fmt.Sprintf("%02d", n), 1, 0, &errs[n]))
		}
		wait := together(t, st, ops...)
		release()
		wait()
		require.Equal(t, [40]error{}, errs)
	}
	var lengths []int
	for _, call := range b.made() {
		lengths = append(lengths, len(call))
	}
	require.Equal(t, []int{40, 20, 10, 5, 2}, lengths)
}

// Limits hold for each operation, and for values that come back.
func TestLimitsOfACallForSeveral(t *testing.T) {
	b := newBatching(newFake(byKey...))
	refused := errors.New("nowhere to write")
	var writable error
	st := b.open(t, Config{MaxValue: 100, Writable: func() error { return writable }})
	var errs [4]error
	setting(st, "key", 1, 0, &errs[0])()
	b.result = func(op *abi.BatchOp) (abi.Code, []byte, bool) {
		return 0, make([]byte, 101), op.Kind == abi.BatchGet && string(op.Key) == "large"
	}
	release := hold(t, b.fake, st)
	var value []byte
	room := make([]byte, 11)
	writable = &Answer{Code: abi.NoSpace, Message: refused.Error()}
	wait := together(t, st,
		func() { _, errs[0] = st.GetInto(context.Background(), []byte("key"), 1, nil, 10) },
		func() { value, errs[1] = st.GetInto(context.Background(), []byte("key"), 1, room, 11) },
		func() { _, errs[2] = st.Get(context.Background(), []byte("large"), 1) },
		setting(st, "key", 2, 0, &errs[3]))
	release()
	wait()
	require.ErrorIs(t, errs[0], store.ErrOversized)
	require.NoError(t, errs[1])
	require.Equal(t, revised(1, "key"), value)
	require.Equal(t, make([]byte, 11), room, "another goroutine would write to it, perhaps after its caller has left")
	require.ErrorIs(t, errs[2], store.ErrOversized)
	require.ErrorContains(t, errs[3], refused.Error())
	require.Equal(t, "get key, get key, get large", joined(b.made()))
	require.Zero(t, b.count("close"))
}

// A guest whose calls are bounded gets few at first, and more as long as that takes little time.
func TestCallsForSeveralGrow(t *testing.T) {
	size := (&Config{}).newBatchSize()
	require.Equal(t, abi.MaxBatch, size.operations)
	size.adapt(3, time.Hour, 0)
	require.Equal(t, abi.MaxBatch, size.operations, "there is no bound")

	size = (&Config{BatchTime: time.Second}).newBatchSize()
	require.Equal(t, firstBatch, size.operations)
	size.adapt(firstBatch-1, time.Millisecond, time.Second)
	require.Equal(t, firstBatch, size.operations, "nobody knows about more")
	size.adapt(firstBatch, time.Second/2, time.Second)
	require.Equal(t, firstBatch, size.operations)
	for range 10 {
		size.adapt(size.operations, time.Millisecond, time.Second)
	}
	require.Equal(t, abi.MaxBatch, size.operations)
	for range 10 {
		size.adapt(2, 2*time.Second, time.Second)
	}
	require.Equal(t, 1, size.operations)

	b := newBatching(newFake(byKey...))
	st := b.open(t, Config{BatchTime: time.Hour})
	release := hold(t, b.fake, st)
	var errs [30]error
	var ops []func()
	for n := range errs {
		ops = append(ops, setting(st, fmt.Sprint(n), 1, 0, &errs[n]))
	}
	wait := together(t, st, ops...)
	release()
	wait()
	require.Equal(t, [30]error{}, errs)
	var lengths []int
	for _, call := range b.made() {
		lengths = append(lengths, len(call))
	}
	require.Equal(t, []int{4, 8, 16, 2}, lengths)
}

// For a guest without compare-and-set, the host's comparison and the write are one step,
// which is not part of a call for several.
func TestComparingIsNotPartOfACallForSeveral(t *testing.T) {
	b := newBatching(newFake())
	st := b.open(t, Config{})
	var errs [4]error
	setting(st, "key", 1, 0, &errs[0])()
	release := hold(t, b.fake, st)
	wait := together(t, st, setting(st, "key", 2, 1, &errs[0]), setting(st, "key", 3, 2, &errs[1]),
		setting(st, "key", 4, 0, &errs[2]), setting(st, "other", 1, 0, &errs[3]))
	release()
	wait()
	require.Equal(t, [4]error{}, errs)
	require.Equal(t, "set key, set other", joined(b.made()))
}

// An enumeration, a sweep or a save that holds the instance is waited for as well, and what is
// not about one record is never part of such a call.
func TestOtherOperationsWaitByThemselves(t *testing.T) {
	b := newBatching(newFake(byKey...))
	st := b.open(t, Config{})
	var errs [2]error
	release := hold(t, b.fake, st)
	saved := make(chan error, 1)
	go func() { saved <- st.Save(context.Background(), 1) }()
	wait := together(t, st, setting(st, "a", 1, 0, &errs[0]), setting(st, "b", 1, 0, &errs[1]))
	release()
	wait()
	require.NoError(t, <-saved)
	require.Equal(t, [2]error{}, errs)
	require.Equal(t, "set a, set b", joined(b.made()))
}

// The writes of a call for several share a save.
func TestSavingEachOfSeveral(t *testing.T) {
	eachPlacement(t, func(t *testing.T, b *batching) {
		st := b.open(t, Config{SaveEach: true})
		release := hold(t, b.fake, st)
		var errs [20]error
		var ops []func()
		for n := range errs {
			ops = append(ops, setting(st, fmt.Sprint(n), 1, 0, &errs[n]))
		}
		wait := together(t, st, ops...)
		release()
		wait()
		require.Equal(t, [20]error{}, errs)
		require.Len(t, b.made(), 1)
		require.LessOrEqual(t, b.count("save"), 2)
		require.NotZero(t, b.count("save"))

		b.failing("save", &Answer{Code: abi.NoSpace})
		release = hold(t, b.fake, st)
		wait = together(t, st, ops...)
		release()
		wait()
		for _, err := range errs {
			require.ErrorIs(t, err, store.ErrNoSpace)
			require.ErrorContains(t, err, "not made durable")
		}
	})
}
