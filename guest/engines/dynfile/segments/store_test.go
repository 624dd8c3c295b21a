package segments_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

const small = segments.MinSegment

// random returns a source with the same numbers in every run.
func random(seed uint64) func() uint64 { return rand.New(rand.NewPCG(seed, 7)).Uint64 }

func open(t testing.TB, fs vfs.FS, change ...func(*segments.Options)) *segments.Store {
	s, err := tryOpen(fs, change...)
	require.NoError(t, err)
	return s
}

func tryOpen(fs vfs.FS, change ...func(*segments.Options)) (*segments.Store, error) {
	options := segments.Options{Shards: 1, SegmentBytes: small, Random: random(1)}
	for _, c := range change {
		c(&options)
	}
	return segments.Open(fs, options)
}

func write(key, value string, expires int64) guest.Write {
	return guest.Write{Key: []byte(key), Value: []byte(value), Expires: expires, Now: 1}
}

func requireValue(t testing.TB, s *segments.Store, key, value string) {
	t.Helper()
	got, err := s.Get([]byte(key), 1)
	require.NoError(t, err)
	require.Equal(t, value, string(got))
}

func requireNone(t testing.TB, s *segments.Store, key string) {
	t.Helper()
	_, err := s.Get([]byte(key), 1)
	require.ErrorIs(t, err, guest.ErrNotFound)
}

func TestOperations(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	require.NoError(t, s.Set(write("a", "value of a", 0)))
	require.NoError(t, s.Set(write("b", "", 100)))
	require.NoError(t, s.Set(write("c", "gone", 0)))
	require.NoError(t, s.Delete([]byte("c"), 1))
	require.NoError(t, s.Delete([]byte("never was"), 1))
	for range 2 { // as it is, and after opening again
		requireValue(t, s, "a", "value of a")
		requireValue(t, s, "b", "")
		requireNone(t, s, "c")
		_, err := s.Get([]byte("b"), 99)
		require.NoError(t, err)
		_, err = s.Get([]byte("b"), 100)
		require.ErrorIs(t, err, guest.ErrNotFound)
		s.Close()
		s = open(t, disk)
	}
}

func TestTouch(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	require.ErrorIs(t, s.Touch([]byte("a"), 10, 1), guest.ErrNotFound)
	require.NoError(t, s.Set(write("a", "kept", 10)))
	require.NoError(t, s.Touch([]byte("a"), 30, 5))
	_, err := s.Get([]byte("a"), 29)
	require.NoError(t, err)
	require.ErrorIs(t, s.Touch([]byte("a"), 50, 30), guest.ErrNotFound, "touching does not revive")
	s = open(t, disk)
	got, err := s.Get([]byte("a"), 29)
	require.NoError(t, err)
	require.Equal(t, "kept", string(got))
	require.NoError(t, s.Touch([]byte("a"), 20, 29), "an expiry in the past removes")
	_, err = s.Get([]byte("a"), 1)
	require.ErrorIs(t, err, guest.ErrNotFound)
	s = open(t, disk)
	requireNone(t, s, "a")
}

func TestSizes(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	key := bytes.Repeat([]byte{0xff}, abi.MaxKey)
	for _, size := range []int{0, 1, 7, 8, 9, 1000, small - 100, small, small + 1, 200_000, segments.MaxValue} {
		value := bytes.Repeat([]byte{byte(size)}, size)
		require.NoError(t, s.Set(guest.Write{Key: key, Value: value, Now: 1}))
		got, err := s.Get(key, 1)
		require.NoError(t, err)
		require.True(t, bytes.Equal(value, got), "%d bytes", size)
		s = open(t, disk)
		got, err = s.Get(key, 1)
		require.NoError(t, err)
		require.True(t, bytes.Equal(value, got), "%d bytes, opened again", size)
	}
	require.ErrorIs(t, s.Set(guest.Write{Key: key, Value: make([]byte, segments.MaxValue+1), Now: 1}), guest.ErrTooLarge)
	require.ErrorIs(t, s.Set(guest.Write{Key: append(key, 1), Now: 1}), guest.ErrInvalid)
	require.ErrorIs(t, s.Set(guest.Write{Now: 1}), guest.ErrInvalid)
}

func TestClear(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	fill(t, s, 500, "before")
	require.NoError(t, s.Save(1))
	require.NoError(t, s.Clear(1))
	require.Zero(t, s.Stats().Sessions)
	require.Less(t, s.Stats().FileBytes, int64(1000), "the space is freed")
	require.NoError(t, s.Set(write("after", "it", 0)))
	for range 2 {
		requireNone(t, s, "before-0")
		requireValue(t, s, "after", "it")
		require.EqualValues(t, 1, s.Stats().Sessions)
		s = open(t, disk)
	}
}

// fill stores sessions of some 300 bytes.
func fill(t testing.TB, s *segments.Store, n int, name string) {
	t.Helper()
	for i := range n {
		require.NoError(t, s.Set(write(name+"-"+decimal(i), name+decimal(i)+string(make([]byte, 250)), 0)))
	}
}

func TestSaveCosts(t *testing.T) {
	disk := crash.New()
	s := open(t, disk, func(o *segments.Options) { o.SegmentBytes = 1 << 20 })
	var ops []crash.Op
	record := func() {
		ops = nil
		disk.Hook(func(op crash.Op) (int, error) { ops = append(ops, op); return 0, nil })
	}
	kinds := func() (kinds []crash.Kind) {
		for _, op := range ops {
			kinds = append(kinds, op.Kind)
		}
		return kinds
	}
	require.NoError(t, s.Set(write("a", "1", 0)))
	require.NoError(t, s.Save(1))

	record()
	require.NoError(t, s.Save(1))
	require.Empty(t, kinds(), "nothing has changed")

	record()
	require.NoError(t, s.Set(write("b", "1", 0)))
	require.Equal(t, []crash.Kind{crash.Write}, kinds())
	record()
	require.NoError(t, s.Set(write("b", "2", 0)))
	require.Equal(t, []crash.Kind{crash.Write}, kinds(), "what is replaced was written recently, and is not read")
	record()
	require.NoError(t, s.Save(1))
	require.Equal(t, []crash.Kind{crash.Sync, crash.Stat, crash.Write}, kinds(), "and a note of it, which nobody waits for")
	record()
	requireValue(t, s, "b", "2")
	require.Equal(t, []crash.Kind{crash.Read}, kinds())
	record()
	requireNone(t, s, "c")
	require.Empty(t, kinds())
	record()
	require.NoError(t, s.Delete([]byte("b"), 1))
	require.NoError(t, s.Delete([]byte("c"), 1))
	require.Equal(t, []crash.Kind{crash.Write}, kinds())

	record()
	require.NoError(t, s.Clear(1))
	require.NoError(t, s.Save(1))
	require.NoError(t, s.Set(write("a", "1", 0)))
	record()
	require.NoError(t, s.Save(1))
	require.Equal(t, []crash.Kind{crash.Sync, crash.Stat, crash.Write}, kinds())
	record()
	later := write("b", "2", 0)
	later.Now = 2
	require.NoError(t, s.Set(later))
	require.Equal(t, []crash.Kind{crash.Write, crash.Stat}, kinds(), "once a millisecond the store checks where writes go")
}

func TestCollision(t *testing.T) {
	t.Run("kept", func(t *testing.T) { testCollision(t, keeping) })
	t.Run("not kept", func(t *testing.T) { testCollision(t, func(*segments.Options) {}) })
}

func testCollision(t *testing.T, change func(*segments.Options)) {
	disk := crash.New()
	s := open(t, disk, change, segments.WithHash(func(key []byte) uint64 { return uint64(len(key)) }))
	require.NoError(t, s.Set(write("a", "of a", 50)))
	for n := range 20 {
		require.NoError(t, s.Set(write("others"[:2+n%5]+strings.Repeat("x", n/5*5), "", 0)))
	}
	require.ErrorIs(t, s.Set(write("b", "of b", 0)), guest.ErrUnavailable)
	requireNone(t, s, "b")
	require.ErrorIs(t, s.Touch([]byte("b"), 60, 1), guest.ErrNotFound)
	require.ErrorIs(t, s.Touch([]byte("b"), 50, 1), guest.ErrNotFound)
	require.NoError(t, s.Delete([]byte("b"), 1))
	requireValue(t, s, "a", "of a")
	require.NoError(t, s.Set(guest.Write{Key: []byte("b"), Value: []byte("of b"), Now: 50}), "the other one has expired")
	requireValue(t, s, "b", "of b")
	requireNone(t, s, "a")
}

func TestEnumerations(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	fill(t, s, 3000, "k")
	require.NoError(t, s.Set(write("expired", "", 5)))
	h := drive(t, s)
	seen := map[string]int{}
	for cursor, n := int64(0), 0; ; n++ {
		keys, next, err := h.Keys(cursor, 6)
		require.NoError(t, err)
		for _, key := range keys {
			seen[string(key)]++
		}
		if next == 0 {
			break
		}
		cursor = next
	}
	require.Len(t, seen, 3000)

	other := open(t, crash.New())
	to := drive(t, other)
	for cursor := int64(0); ; {
		list, next, err := h.Snapshot(cursor, 6)
		require.NoError(t, err)
		require.NoError(t, to.Restore(list, 6))
		if next == 0 {
			break
		}
		cursor = next
	}
	require.EqualValues(t, 3000, other.Stats().Sessions)
	requireValue(t, other, "k-77", "k77"+string(make([]byte, 250)))
}

func TestSweep(t *testing.T) {
	s := open(t, crash.New())
	for i := range 1000 {
		require.NoError(t, s.Set(write("k"+decimal(i), "v", int64(10+i%2*1000))))
	}
	total := 0
	for range 20 {
		n, err := s.Sweep(100, 20)
		require.NoError(t, err)
		require.LessOrEqual(t, n, 100)
		total += n
	}
	require.Equal(t, 500, total)
	require.EqualValues(t, 500, s.Stats().Sessions)
}

// Once it has been swept, a write removes as a side effect no session that expired by a
// later time than the sweep's: a clock that leaps ahead and is set right costs nothing.
func TestClockThatLeaps(t *testing.T) {
	const year = int64(365 * 86400_000)
	s := open(t, crash.New())
	for i := range 50 {
		require.NoError(t, s.Set(write(string(rune('A'+i)), "v", 1000)))
	}
	_, err := s.Sweep(1, 1)
	require.NoError(t, err)
	for i := range 50 {
		_, err := s.Get([]byte(string(rune('A'+i))), year)
		require.ErrorIs(t, err, guest.ErrNotFound)
		require.NoError(t, s.Set(guest.Write{Key: []byte(string(rune(1000 + i))), Value: []byte("v"), Now: year}))
	}
	require.EqualValues(t, 100, s.Stats().Sessions)
	for i := range 50 {
		requireValue(t, s, string(rune('A'+i)), "v")
	}
	_, err = s.Sweep(1000, year)
	require.NoError(t, err)
	require.EqualValues(t, 50, s.Stats().Sessions, "the sweeper is believed")
	require.EqualValues(t, 50, s.Stats().Expired)
}
