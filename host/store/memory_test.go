package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

const now = 1767225600000

// value makes a value of a revision.
func value(revision uint64, body string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, revision), body...)
}

// step is one operation of a history and what must come of it.
type step struct {
	op      string // set, get, touch, delete, clear, save, sweep
	key     string
	value   []byte
	at      int64 // after the start
	expires int64 // after the start, 0 for never
	expect  int64
	err     error
	removed int // by a sweep
}

// TestContract is the whole of what a Store does, as histories.
func TestContract(t *testing.T) {
	five, six := value(5, "hi!"), value(6, "ho")
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"what is set is got", []step{
			{op: "set", key: "k", value: five}, {op: "get", key: "k", value: five},
			{op: "get", key: "K", err: store.ErrNotFound}, {op: "get", key: "k\x00", err: store.ErrNotFound},
		}},
		{"a later set replaces, whatever the lengths", []step{
			{op: "set", key: "k", value: five}, {op: "set", key: "k", value: six}, {op: "get", key: "k", value: six},
			{op: "set", key: "k", value: value(7, strings.Repeat("x", 10000))}, {op: "get", key: "k", value: value(7, strings.Repeat("x", 10000))},
		}},
		{"an empty value is a value", []step{
			{op: "set", key: "k", value: []byte{}}, {op: "get", key: "k", value: []byte{}},
			{op: "set", key: "k", value: five, expect: store.Absent, err: store.ErrConflict},
		}},
		{"delete", []step{
			{op: "set", key: "k", value: five}, {op: "delete", key: "k"}, {op: "get", key: "k", err: store.ErrNotFound},
			{op: "delete", key: "k"}, {op: "delete", key: "never"},
		}},
		{"clear", []step{
			{op: "set", key: "a", value: five}, {op: "set", key: "b", value: five}, {op: "clear"},
			{op: "get", key: "a", err: store.ErrNotFound}, {op: "get", key: "b", err: store.ErrNotFound},
			{op: "set", key: "a", value: six}, {op: "get", key: "a", value: six},
		}},
		{"save keeps what is alive", []step{
			{op: "set", key: "a", value: five, expires: 10}, {op: "set", key: "b", value: five}, {op: "save", at: 10},
			{op: "get", key: "a", at: 10, err: store.ErrNotFound}, {op: "get", key: "b", at: 10, value: five},
		}},

		{"expiry, to the millisecond", []step{
			{op: "set", key: "k", value: five, expires: 1000}, {op: "get", key: "k", at: 999, value: five},
			{op: "get", key: "k", at: 1000, err: store.ErrNotFound}, {op: "get", key: "k", at: 1001, err: store.ErrNotFound},
		}},
		{"a record without expiry stays", []step{
			{op: "set", key: "k", value: five}, {op: "get", key: "k", at: 1 << 50, value: five},
		}},
		{"a later set gives its own expiry", []step{
			{op: "set", key: "k", value: five, expires: 10}, {op: "set", key: "k", value: six},
			{op: "get", key: "k", at: 1000, value: six},
		}},
		{"an expired record is absent for expect", []step{
			{op: "set", key: "k", value: five, expires: 10},
			{op: "set", key: "k", value: six, at: 9, expect: store.Absent, err: store.ErrConflict},
			{op: "set", key: "k", value: six, at: 10, expect: 5, err: store.ErrConflict},
			{op: "set", key: "k", value: six, at: 10, expect: store.Absent}, {op: "get", key: "k", at: 10, value: six},
		}},

		{"expect: any", []step{{op: "set", key: "k", value: five}, {op: "set", key: "k", value: six}}},
		{"expect: absent", []step{
			{op: "set", key: "k", value: five, expect: store.Absent},
			{op: "set", key: "k", value: six, expect: store.Absent, err: store.ErrConflict}, {op: "get", key: "k", value: five},
			{op: "delete", key: "k"}, {op: "set", key: "k", value: six, expect: store.Absent},
		}},
		{"expect: a revision", []step{
			{op: "set", key: "k", value: five}, {op: "set", key: "k", value: six, expect: 5},
			{op: "set", key: "k", value: five, expect: 5, err: store.ErrConflict}, {op: "get", key: "k", value: six},
			{op: "set", key: "k", value: six, expect: 6}, {op: "set", key: "k", value: six, expect: 6},
		}},
		{"expect: a revision of nothing", []step{
			{op: "set", key: "k", value: six, expect: 5, err: store.ErrConflict}, {op: "get", key: "k", err: store.ErrNotFound},
		}},
		{"expect: a revision that fills the number", []step{
			{op: "set", key: "k", value: value(1<<63+7, "")}, {op: "set", key: "k", value: six, expect: -1<<63 + 7},
		}},
		{"expect: the revision of a short value", []step{
			{op: "set", key: "k", value: []byte{5}}, {op: "set", key: "k", value: []byte{0, 1}, expect: 5},
			{op: "set", key: "k", value: six, expect: 256},
		}},

		{"a past expiry removes", []step{
			{op: "set", key: "k", value: five}, {op: "set", key: "k", value: six, at: 10, expires: 9},
			{op: "get", key: "k", err: store.ErrNotFound},
		}},
		{"an expiry that is now removes", []step{
			{op: "set", key: "k", value: five}, {op: "set", key: "k", value: six, at: 10, expires: 10},
			{op: "get", key: "k", at: 9, err: store.ErrNotFound},
		}},
		{"a past expiry removes on the same condition", []step{
			{op: "set", key: "k", value: five},
			{op: "set", key: "k", value: six, at: 10, expires: 9, expect: 4, err: store.ErrConflict},
			{op: "set", key: "k", value: six, at: 10, expires: 9, expect: store.Absent, err: store.ErrConflict},
			{op: "get", key: "k", at: 10, value: five},
			{op: "set", key: "k", value: six, at: 10, expires: 9, expect: 5}, {op: "get", key: "k", at: 10, err: store.ErrNotFound},
		}},
		{"a past expiry of nothing", []step{
			{op: "set", key: "k", value: six, at: 10, expires: 9},
			{op: "set", key: "k", value: six, at: 10, expires: 9, expect: store.Absent},
			{op: "set", key: "k", value: six, at: 10, expires: 9, expect: 5, err: store.ErrConflict},
			{op: "get", key: "k", at: 8, err: store.ErrNotFound},
		}},

		{"touch moves the expiry and nothing else", []step{
			{op: "set", key: "k", value: five, expires: 10}, {op: "touch", key: "k", at: 9, expires: 100},
			{op: "get", key: "k", at: 99, value: five}, {op: "set", key: "k", value: six, at: 99, expires: 200, expect: 5},
			{op: "touch", key: "k", at: 199}, {op: "get", key: "k", at: 1 << 40, value: six},
			{op: "touch", key: "k", at: 1 << 40, expires: 1<<40 + 1}, {op: "get", key: "k", at: 1<<40 + 1, err: store.ErrNotFound},
		}},
		{"touch never creates", []step{
			{op: "touch", key: "k", expires: 10, err: store.ErrNotFound}, {op: "get", key: "k", err: store.ErrNotFound},
		}},
		{"touch never revives", []step{
			{op: "set", key: "k", value: five, expires: 10}, {op: "touch", key: "k", at: 10, expires: 100, err: store.ErrNotFound},
			{op: "get", key: "k", at: 10, err: store.ErrNotFound},
		}},
		{"touch with a past expiry removes", []step{
			{op: "set", key: "k", value: five}, {op: "touch", key: "k", at: 10, expires: 10},
			{op: "get", key: "k", at: 9, err: store.ErrNotFound},
		}},

		{"sweep removes the expired and nothing else", []step{
			{op: "set", key: "a", value: five, expires: 10}, {op: "set", key: "b", value: five, expires: 11}, {op: "set", key: "c", value: five},
			{op: "sweep", at: 9}, {op: "sweep", at: 10, removed: 1}, {op: "sweep", at: 10},
			{op: "get", key: "b", at: 10, value: five}, {op: "sweep", at: 1 << 50, removed: 1}, {op: "get", key: "c", value: five},
		}},

		{"the shortest and the longest key", []step{
			{op: "set", key: "\x00", value: five}, {op: "get", key: "\x00", value: five},
			{op: "set", key: strings.Repeat("k", abi.MaxKey), value: six}, {op: "get", key: strings.Repeat("k", abi.MaxKey), value: six},
		}},
		{"no key", []step{
			{op: "set", value: five, err: store.ErrInvalid}, {op: "get", err: store.ErrInvalid},
			{op: "touch", err: store.ErrInvalid}, {op: "delete", err: store.ErrInvalid},
		}},
		{"a key too long", []step{
			{op: "set", key: strings.Repeat("k", abi.MaxKey+1), value: five, err: store.ErrTooLarge},
			{op: "get", key: strings.Repeat("k", abi.MaxKey+1), err: store.ErrTooLarge},
			{op: "touch", key: strings.Repeat("k", abi.MaxKey+1), err: store.ErrTooLarge},
			{op: "delete", key: strings.Repeat("k", abi.MaxKey+1), err: store.ErrTooLarge},
		}},
		{"a value too long changes nothing", []step{
			{op: "set", key: "k", value: five}, {op: "set", key: "k", value: make([]byte, abi.MaxValue+1), err: store.ErrTooLarge},
			{op: "get", key: "k", value: five}, {op: "set", key: "k", value: make([]byte, abi.MaxValue)},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store.NewMemory()
			for i, step := range c.steps {
				got, removed, err := do(s, step)
				if step.err != nil {
					require.ErrorIs(t, err, step.err, "step %d", i)
					require.Nil(t, got, "step %d", i)
					continue
				}
				require.NoError(t, err, "step %d", i)
				if step.op == "get" {
					require.Equal(t, step.value, got, "step %d", i)
				}
				require.Equal(t, step.removed, removed, "step %d", i)
			}
		})
	}
}

func do(s *store.Memory, o step) (got []byte, removed int, err error) {
	ctx, at, expires := context.Background(), now+o.at, int64(0)
	if o.expires != 0 {
		expires = now + o.expires
	}
	switch o.op {
	case "get":
		got, err = s.Get(ctx, []byte(o.key), at)
	case "set":
		err = s.Set(ctx, store.Write{Key: []byte(o.key), Value: o.value, Expires: expires, Now: at, Expect: o.expect})
	case "touch":
		err = s.Touch(ctx, []byte(o.key), expires, at)
	case "delete":
		err = s.Delete(ctx, []byte(o.key), at)
	case "clear":
		err = s.Clear(ctx, at)
	case "save":
		err = s.Save(ctx, at)
	case "sweep":
		removed, err = s.Sweep(ctx, 1<<20, at)
	default:
		panic("no such operation: " + o.op)
	}
	return got, removed, err
}

func put(t *testing.T, s store.Store, key, body string, expires int64) {
	t.Helper()
	require.NoError(t, s.Set(context.Background(), store.Write{Key: []byte(key), Value: value(1, body), Expires: expires, Now: now}))
}

// TestMemoryIsTheStoresOwn: neither what was set nor what was got reaches into
// the store.
func TestMemoryIsTheStoresOwn(t *testing.T) {
	ctx := context.Background()
	s := store.NewMemory()
	key, v := []byte("key"), value(1, "body")
	require.NoError(t, s.Set(ctx, store.Write{Key: key, Value: v, Now: now}))
	key[0], v[8] = 'X', 'X'
	got, err := s.Get(ctx, []byte("key"), now)
	require.NoError(t, err)
	require.Equal(t, value(1, "body"), got)
	got[8] = 'X'
	for r, err := range s.Snapshot(ctx, now) {
		require.NoError(t, err)
		require.Equal(t, value(1, "body"), r.Value)
		r.Key[0], r.Value[8] = 'X', 'X'
	}
	got, err = s.Get(ctx, []byte("key"), now)
	require.NoError(t, err)
	require.Equal(t, value(1, "body"), got)
}

// TestSweepGoesOnWhereItEnded: small steps find everything.
func TestSweepGoesOnWhereItEnded(t *testing.T) {
	s := store.NewMemory()
	for i := range 1000 {
		put(t, s, fmt.Sprint(i), "x", now+10)
	}
	most, total := 0, 0
	for range 200 {
		removed, err := s.Sweep(context.Background(), 10, now+10)
		require.NoError(t, err)
		most, total = max(most, removed), total+removed
	}
	require.Equal(t, 1000, total)
	require.Less(t, most, 200, "a step is bounded")
	require.Zero(t, s.Len())
	removed, err := s.Sweep(context.Background(), 0, now)
	require.NoError(t, err)
	require.Zero(t, removed)
}

func TestSaveDropsTheExpired(t *testing.T) {
	s := store.NewMemory()
	put(t, s, "a", "x", now+1)
	put(t, s, "b", "x", 0)
	require.NoError(t, s.Save(context.Background(), now))
	require.Equal(t, 2, s.Len())
	require.NoError(t, s.Save(context.Background(), now+1))
	require.Equal(t, 1, s.Len())
}

func TestKeysAndSnapshot(t *testing.T) {
	ctx := context.Background()
	s := store.NewMemory()
	want := map[string]store.Record{}
	for i := range 500 {
		key := fmt.Sprint("key ", i)
		expires := int64(0)
		if i%2 == 0 {
			expires = now + int64(i)
		}
		put(t, s, key, key, expires)
		if expires == 0 || now+100 < expires {
			want[key] = store.Record{Key: []byte(key), Value: value(1, key), Expires: expires}
		}
	}
	got := map[string]store.Record{}
	for r, err := range s.Snapshot(ctx, now+100) {
		require.NoError(t, err)
		got[string(r.Key)] = r
	}
	require.Equal(t, want, got)
	keys := map[string]bool{}
	for key, err := range s.Keys(ctx, now+100) {
		require.NoError(t, err)
		require.False(t, keys[string(key)], "a store at rest names each key once")
		keys[string(key)] = true
	}
	require.Len(t, keys, len(want))

	t.Run("may be left early and changed meanwhile", func(t *testing.T) {
		n, before := 0, s.Len()
		for key, err := range s.Keys(ctx, now) {
			require.NoError(t, err)
			require.NoError(t, s.Delete(ctx, key, now)) // no lock is held
			if n++; n == 10 {
				break
			}
		}
		require.Equal(t, before-10, s.Len())
	})
}

func records(list ...store.Record) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestRestore(t *testing.T) {
	ctx := context.Background()
	from, to := store.NewMemory(), store.NewMemory()
	put(t, from, "a", "new", now+1000)
	put(t, from, "b", "new", 0)
	put(t, to, "a", "old", now+5)
	put(t, to, "c", "old", 0)
	require.NoError(t, to.Restore(ctx, from.Snapshot(ctx, now), now))
	for key, body := range map[string]string{"a": "new", "b": "new", "c": "old"} {
		got, err := to.Get(ctx, []byte(key), now+999)
		require.NoError(t, err)
		require.Equal(t, value(1, body), got)
	}
	_, err := to.Get(ctx, []byte("a"), now+1000)
	require.ErrorIs(t, err, store.ErrNotFound, "the expiry comes along")

	t.Run("leaves out what has expired", func(t *testing.T) {
		s := store.NewMemory()
		put(t, s, "a", "kept", 0)
		require.NoError(t, s.Restore(ctx, records(
			store.Record{Key: []byte("a"), Value: value(1, "expired"), Expires: now},
			store.Record{Key: []byte("b"), Value: value(1, "alive"), Expires: now + 1},
		), now))
		got, err := s.Get(ctx, []byte("a"), now)
		require.NoError(t, err, "an expired record does not remove one that is alive")
		require.Equal(t, value(1, "kept"), got)
		require.Equal(t, 2, s.Len())
	})
	t.Run("ends at an error", func(t *testing.T) {
		fault := errors.New("a fault for tests")
		s := store.NewMemory()
		err := s.Restore(ctx, func(yield func(store.Record, error) bool) {
			_ = yield(store.Record{Key: []byte("a"), Value: value(1, "x")}, nil) && yield(store.Record{}, fault)
		}, now)
		require.ErrorIs(t, err, fault)
		require.Equal(t, 1, s.Len())
		require.ErrorIs(t, s.Restore(ctx, records(store.Record{}), now), store.ErrInvalid)
	})
}

// everyOperation calls each operation once and gives its error.
func everyOperation(ctx context.Context, s *store.Memory) map[string]error {
	_, get := s.Get(ctx, []byte("k"), now)
	_, sweep := s.Sweep(ctx, 10, now)
	errs := map[string]error{
		"get": get, "sweep": sweep,
		"set":     s.Set(ctx, store.Write{Key: []byte("k"), Value: value(2, "changed"), Now: now}),
		"touch":   s.Touch(ctx, []byte("k"), now+1, now),
		"delete":  s.Delete(ctx, []byte("k"), now),
		"clear":   s.Clear(ctx, now),
		"save":    s.Save(ctx, now),
		"restore": s.Restore(ctx, records(store.Record{Key: []byte("k"), Value: value(2, "changed")}), now),
	}
	for _, err := range s.Snapshot(ctx, now) {
		errs["snapshot"] = err
	}
	for _, err := range s.Keys(ctx, now) {
		errs["keys"] = err
	}
	return errs
}

func TestCancelledContextHasNoEffect(t *testing.T) {
	s := store.NewMemory()
	put(t, s, "k", "kept", 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	errs := everyOperation(ctx, s)
	require.Len(t, errs, 10)
	for op, err := range errs {
		require.ErrorIs(t, err, context.Canceled, op)
	}
	got, err := s.Get(context.Background(), []byte("k"), now)
	require.NoError(t, err)
	require.Equal(t, value(1, "kept"), got)
}

func TestClosed(t *testing.T) {
	s := store.NewMemory()
	put(t, s, "k", "x", 0)
	require.NoError(t, s.Close(context.Background()))
	errs := everyOperation(context.Background(), s)
	require.Len(t, errs, 10)
	for op, err := range errs {
		require.ErrorIs(t, err, store.ErrClosed, op)
	}
	require.NoError(t, s.Close(context.Background()), "twice")
	require.Zero(t, s.Len())
}

func TestZeroMemoryIsReady(t *testing.T) {
	var s store.Memory
	_, err := s.Get(context.Background(), []byte("k"), now)
	require.ErrorIs(t, err, store.ErrNotFound)
	put(t, &s, "k", "x", 0)
	require.Equal(t, 1, s.Len())
	require.NoError(t, new(store.Memory).Close(context.Background()))
}

// TestOneOrderOfOperations: of many that create or replace at once, exactly
// one succeeds each time.
func TestOneOrderOfOperations(t *testing.T) {
	ctx := context.Background()
	s := store.NewMemory()
	const writers, rounds = 8, 200
	var wins sync.Map
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for round := range rounds {
				key := []byte(fmt.Sprint(round % 10))
				expect := int64(store.Absent)
				if old, err := s.Get(ctx, key, now); err == nil {
					expect = int64(abi.Revision(old))
				}
				next := max(expect, 0) + 1
				err := s.Set(ctx, store.Write{Key: key, Value: value(uint64(next), ""), Now: now, Expect: expect})
				if errors.Is(err, store.ErrConflict) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				if other, twice := wins.LoadOrStore(fmt.Sprintf("%s at %d", key, next), w); twice {
					t.Errorf("%s at %d was won by %v and %d", key, next, other, w)
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			for _, err := range s.Snapshot(ctx, now) {
				if err != nil {
					t.Error(err)
				}
			}
			if _, err := s.Sweep(ctx, 5, now); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for i := range 10 {
		key := []byte(fmt.Sprint(i))
		got, err := s.Get(ctx, key, now)
		require.NoError(t, err)
		for revision := uint64(1); revision <= abi.Revision(got); revision++ {
			_, won := wins.Load(fmt.Sprintf("%s at %d", key, revision))
			require.True(t, won, "revision %d of %s", revision, key)
		}
	}
}

func TestFromCode(t *testing.T) {
	seen := map[error]bool{}
	for code, want := range map[abi.Code]error{
		abi.NotFound: store.ErrNotFound, abi.Invalid: store.ErrInvalid, abi.TooLarge: store.ErrTooLarge,
		abi.NoSpace: store.ErrNoSpace, abi.Unavailable: store.ErrUnavailable, abi.Conflict: store.ErrConflict,
		abi.Corrupt: store.ErrCorrupt, abi.Denied: store.ErrDenied, abi.Unsupported: store.ErrUnsupported,
		abi.Internal: store.ErrInternal,
	} {
		require.Equal(t, want, store.FromCode(code), code.String())
		require.False(t, seen[want])
		seen[want] = true
	}
	for _, unknown := range []abi.Code{-11, -1 << 63} {
		require.Equal(t, store.ErrInternal, store.FromCode(unknown))
	}
}

func TestChecksSayWhatIsWrong(t *testing.T) {
	require.NoError(t, store.CheckKey([]byte("k")))
	require.ErrorContains(t, store.CheckKey(nil), "empty")
	err := store.CheckKey(bytes.Repeat([]byte("secret"), 200))
	require.ErrorContains(t, err, "1200 bytes")
	require.ErrorContains(t, err, "1024")
	require.NotContains(t, err.Error(), "secret", "a key does not belong into an error")
	err = store.CheckWrite(store.Write{Key: []byte("k"), Value: make([]byte, abi.MaxValue+1)})
	require.ErrorContains(t, err, "16777217 bytes")
}
