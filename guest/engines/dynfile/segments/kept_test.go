package segments_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

func keeping(o *segments.Options) { o.CacheBytes = segments.MinCache }

// A session that was lately read or written is read without a call of the system, whatever
// happened to it, and to the store, since.
func TestHotReadsCallNothing(t *testing.T) {
	disk := crash.New()
	s := open(t, disk, keeping)
	calls := func(f func()) (n int) {
		disk.Hook(func(crash.Op) (int, error) { n++; return 0, nil })
		f()
		disk.Hook(nil)
		return n
	}
	hot := func(what, value string) {
		t.Helper()
		require.Zero(t, calls(func() { requireValue(t, s, "a", value) }), what)
	}
	require.NoError(t, s.Set(write("a", "1", 0)))
	hot("after it was made", "1")
	require.NoError(t, s.Set(write("a", "2", 0)))
	hot("after it was replaced", "2")
	require.Equal(t, 1, calls(func() { require.NoError(t, s.Touch([]byte("a"), 5000, 1)) }), "only to write")
	hot("after it was touched", "2")
	require.NoError(t, s.Save(1))
	hot("after a save", "2")

	s.Close()
	s = open(t, disk, keeping)
	require.Equal(t, 1, calls(func() { requireValue(t, s, "a", "2") }), "the first read after opening")
	hot("after it was read", "2")

	compacted := s.Stats().Compacted
	for n := 0; s.Stats().Compacted == compacted; n++ {
		require.NoError(t, s.Set(write("b", strings.Repeat("x", 1000), 0)))
		_, err := s.Sweep(10, 1)
		require.NoError(t, err)
	}
	hot("after it was moved", "2")

	// Of any size, up to the largest that is kept.
	large := strings.Repeat("y", segments.MinCache/16)
	require.NoError(t, s.Set(write("a", large, 0)))
	hot("a large one", large)
	require.NoError(t, s.Set(write("a", large+"y", 0)))
	require.Equal(t, 1, calls(func() { requireValue(t, s, "a", large+"y") }), "one that is too large")

	require.NoError(t, s.Delete([]byte("a"), 1))
	require.Zero(t, calls(func() { requireNone(t, s, "a") }))
	require.NoError(t, s.Set(write("a", "3", 0)))
	require.NoError(t, s.Clear(1))
	require.Zero(t, calls(func() { requireNone(t, s, "a") }))
}

// TestKeptIsNeverStale makes the same operations on a store that keeps sessions in memory,
// too little of it for all, and on one that does not. Every answer is the same, also while
// the clock goes back, and where keys have the same hash.
func TestKeptIsNeverStale(t *testing.T) {
	colliding := segments.WithHash(func(key []byte) uint64 { return uint64(key[1]) | uint64(key[2])<<8 })
	for name, c := range map[string]struct {
		keys, largest int
		change        []func(*segments.Options)
	}{
		"evicting":    {4000, 700, nil},
		"large":       {100, 40_000, nil},
		"few":         {20, 100, nil},
		"same hashes": {3000, 300, []func(*segments.Options){colliding}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				rng := rand.New(rand.NewPCG(seed, 9))
				disks := [2]*crash.Disk{crash.New(), crash.New()}
				var stores [2]*segments.Store
				reopen := func() {
					for i := range stores {
						if stores[i] != nil {
							stores[i].Close()
						}
						stores[i] = open(t, disks[i], c.change...)
					}
					stores[1].Close()
					stores[1] = open(t, disks[1], append(c.change, keeping)...)
				}
				reopen()
				same := func(what string, f func(s *segments.Store) (string, error)) {
					t.Helper()
					value, err := f(stores[0])
					kept, keptErr := f(stores[1])
					require.Equal(t, fmt.Sprint(err), fmt.Sprint(keptErr), what)
					require.Equal(t, value, kept, what)
				}
				now, revision := int64(100*hour), 0
				for step := range 12_000 {
					switch rng.IntN(60) {
					case 0:
						now += int64(rng.IntN(2 * hour))
					case 1:
						now -= int64(rng.IntN(2 * hour))
					}
					key := fmt.Appendf(nil, "k%05d", rng.IntN(c.keys)*rng.IntN(c.keys)/c.keys)
					key[0], key[1], key[2] = byte('a'+rng.IntN(2)), key[4], key[5]
					expires := int64(0)
					if rng.IntN(3) > 0 {
						expires = now + int64(rng.IntN(4*hour)) - hour/8
					}
					what := fmt.Sprintf("step %d, %s at %d", step, key, now)
					switch op := rng.IntN(100); {
					case op < 45:
						same("get "+what, func(s *segments.Store) (string, error) {
							v, err := s.Get(key, now)
							return string(v), err
						})
					case op < 75:
						revision++
						w := guest.Write{Key: key, Value: fmt.Appendf(nil, "%08d%s", revision, strings.Repeat("v", rng.IntN(c.largest))), Expires: expires, Now: now}
						if rng.IntN(4) == 0 {
							w.Expect = -1
						}
						same("set "+what, func(s *segments.Store) (string, error) { return "", s.Set(w) })
					case op < 83:
						same("delete "+what, func(s *segments.Store) (string, error) { return "", s.Delete(key, now) })
					case op < 91:
						same("touch "+what, func(s *segments.Store) (string, error) { return "", s.Touch(key, expires, now) })
					case op < 94:
						same("sweep "+what, func(s *segments.Store) (string, error) {
							n, err := s.Sweep(50, now)
							return decimal(n), err
						})
					case op < 97:
						same("save "+what, func(s *segments.Store) (string, error) { return "", s.Save(now) })
					case rng.IntN(200) == 0:
						same("clear "+what, func(s *segments.Store) (string, error) { return "", s.Clear(now) })
					case rng.IntN(100) == 0:
						reopen()
					}
				}
				for i := range stores {
					require.NoError(t, stores[i].Verify())
				}
			}
		})
	}
}

// A session that is kept is answered although its file was damaged since, and is written
// again, whole, when its segment is compacted. One that is not kept is answered with
// CORRUPT.
func TestKeptMends(t *testing.T) {
	for _, c := range []struct {
		name    string
		options func(*segments.Options)
		mends   bool
	}{
		{"kept", keeping, true},
		{"not kept", func(*segments.Options) {}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := crash.New()
			s := open(t, disk, c.options)
			value := "precious" + strings.Repeat("p", 200)
			require.NoError(t, s.Set(write("a", value, 0)))
			fill(t, s, 300, "waste")
			require.NoError(t, s.Save(1))
			name := "shard-0/00000000.segment"
			f, err := disk.OpenFile(name, vfs.ReadWrite)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("XX"), 144+40+1+50)
			require.NoError(t, err)

			get := func() error {
				got, err := s.Get([]byte("a"), 1)
				if err == nil {
					require.Equal(t, value, string(got))
				}
				return err
			}
			keys, _, err := drive(t, s).Keys(0, 1)
			require.NoError(t, err)
			require.Equal(t, c.mends, len(keys) > 0 && contains(keys, "a"), "listed if it is answered")
			for range 3 {
				fill(t, s, 300, "waste")
			}
			for range 100 {
				_, err := s.Sweep(1000, 1)
				require.NoError(t, err)
			}
			require.NoError(t, s.Save(1))
			require.NotZero(t, s.Stats().Damaged)
			for range 2 {
				if err := get(); c.mends {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, guest.ErrCorrupt)
				}
				s.Close()
				s = open(t, disk, c.options)
			}
		})
	}
}

func contains(keys [][]byte, key string) bool {
	for _, k := range keys {
		if string(k) == key {
			return true
		}
	}
	return false
}

// A clock that was ahead while sessions were swept, and is right again, does not make the
// store read files for ever.
func TestKeptAfterTheClockWasAhead(t *testing.T) {
	disk := crash.New()
	s := open(t, disk, keeping)
	const day = 24 * hour
	now := int64(10 * day)
	set := func(key string, expires int64) {
		require.NoError(t, s.Set(guest.Write{Key: []byte(key), Value: []byte("v"), Expires: expires, Now: now}))
	}
	set("a", now+8*day)
	_, err := s.Sweep(100, now+9*day)
	require.NoError(t, err)
	set("a", now+day)
	calls := 0
	disk.Hook(func(crash.Op) (int, error) { calls++; return 0, nil })
	for range 3 {
		_, err := s.Get([]byte("a"), now)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, calls, 1)
}

func TestCacheBytesBounds(t *testing.T) {
	_, err := tryOpen(crash.New(), func(o *segments.Options) { o.CacheBytes = segments.MinCache - 1 })
	require.True(t, errors.Is(err, guest.ErrInvalid))
	require.Contains(t, err.Error(), "must be 0 or at least 512KiB")
}
