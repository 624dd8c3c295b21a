package segments_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// TestBoundedSteps counts what each call reads and writes while compaction is
// busy, up to a full store: no call goes through much at once.
func TestBoundedSteps(t *testing.T) {
	for _, maxBytes := range []int64{0, 32 << 20} {
		disk := crash.New()
		s := open(t, disk, func(o *segments.Options) { o.SegmentBytes, o.MaxBytes = 1<<20, maxBytes })
		rng := rand.New(rand.NewPCG(1, 1))
		value := make([]byte, 6000)
		moved, worst, syncs := 0, 0, 0
		disk.Hook(func(op crash.Op) (int, error) {
			switch op.Kind {
			case crash.Read, crash.Write:
				moved += op.Size
			case crash.Sync:
				syncs++
			}
			return 0, nil
		})
		const keys = 6000 // 18 MB on average, of at most 22
		for n := range 40_000 {
			moved, syncs = 0, 0
			key := []byte("key-" + decimal(rng.IntN(keys)))
			require.NoError(t, s.Set(guest.Write{Key: key, Value: value[:rng.IntN(len(value))], Now: 1}), "%d", n)
			worst = max(worst, moved)
			if maxBytes == 0 {
				require.Zero(t, syncs, "Save and Sweep take care of it")
			}
			if n%1000 == 0 {
				require.NoError(t, s.Save(1))
			}
			if maxBytes > 0 {
				require.LessOrEqual(t, s.Stats().FileBytes, maxBytes)
			}
		}
		require.NotZero(t, s.Stats().Compacted)
		require.NotZero(t, s.Stats().Copied)
		require.Less(t, worst, 1400<<10)
		require.NoError(t, s.Verify())
		t.Logf("worst call %d KiB, %d segments compacted, %d MiB copied, %d MiB in files for %d MiB live",
			worst>>10, s.Stats().Compacted, s.Stats().Copied>>20, s.Stats().FileBytes>>20, s.Stats().LiveBytes>>20)
	}
}

// TestFull fills a store until there is no room. What is stored stays and can be
// replaced for ever, and deletions make room.
func TestFull(t *testing.T) {
	disk := crash.New()
	s := open(t, disk, func(o *segments.Options) { o.SegmentBytes, o.MaxBytes = 0, segments.MinBytes })
	value := string(make([]byte, 1000))
	n := 0
	for ; ; n++ {
		err := s.Set(write("k"+decimal(n), value, 0))
		if err != nil {
			require.ErrorIs(t, err, guest.ErrNoSpace)
			break
		}
	}
	require.Greater(t, n*1048, segments.MinBytes/8*7/4*3-2200)
	for round := range 5 {
		for i := range n {
			require.NoError(t, s.Set(write("k"+decimal(i), value[:999]+decimal(round%10), 0)), "replacing, round %d", round)
		}
	}
	require.ErrorIs(t, s.Set(write("new", value, 0)), guest.ErrNoSpace)
	for i := range n {
		require.NoError(t, s.Delete([]byte("k"+decimal(i)), 1))
	}
	require.NoError(t, s.Set(write("new", value, 0)))
	require.LessOrEqual(t, s.Stats().FileBytes, int64(segments.MinBytes))
	require.NoError(t, s.Verify())

	s = open(t, crash.New(), func(o *segments.Options) { o.MaxSessions = 10 })
	for i := range 10 {
		require.NoError(t, s.Set(write(decimal(i), "", 0)))
	}
	require.ErrorIs(t, s.Set(write("more", "", 0)), guest.ErrNoSpace)
	require.NoError(t, s.Set(write("3", "replaced", 0)))
}

// TestSpaceIsGivenBack lets sessions come and go: neither they nor their
// tombstones pile up.
func TestSpaceIsGivenBack(t *testing.T) {
	tests := []struct {
		name string
		gone func(s *segments.Store, key string, now int64) error
		life int64
		most int64 // bytes that may be left
	}{
		{"deleted", func(s *segments.Store, key string, now int64) error { return s.Delete([]byte(key), now) }, 0, 8 * small},
		{"expired", func(*segments.Store, string, int64) error { return nil }, hour, 40 * small},
		{"replaced by shorter lives", func(s *segments.Store, key string, now int64) error {
			return s.Set(guest.Write{Key: []byte(key), Value: []byte("x"), Expires: now + hour/10, Now: now})
		}, 0, 40 * small},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			disk := crash.New()
			s := open(t, disk)
			require.NoError(t, s.Set(write("the oldest", "stays", 0)))
			now := int64(hour)
			for n := range 30_000 {
				now += 2 * hour / 1000
				key := "k" + decimal(n)
				expires := int64(0)
				if test.life > 0 {
					expires = now + test.life
				}
				require.NoError(t, s.Set(guest.Write{Key: []byte(key), Value: make([]byte, 300), Expires: expires, Now: now}))
				require.NoError(t, test.gone(s, key, now))
				if n%50 == 0 {
					_, err := s.Sweep(200, now)
					require.NoError(t, err)
				}
			}
			now += 3 * hour
			for range 200 {
				_, err := s.Sweep(1000, now)
				require.NoError(t, err)
			}
			require.EqualValues(t, 1, s.Stats().Sessions)
			require.Less(t, s.Stats().FileBytes, test.most)
			require.NoError(t, s.Verify())
			t.Logf("%d KiB in %d segments; %d KiB copied", s.Stats().FileBytes>>10, s.Stats().Segments, s.Stats().Copied>>10)
			s = open(t, disk)
			require.NoError(t, s.Verify())
			requireValue(t, s, "the oldest", "stays")
			for n := range 30_000 {
				_, err := s.Get([]byte("k"+decimal(n)), now)
				require.ErrorIs(t, err, guest.ErrNotFound)
			}
		})
	}
}

// TestManyRestarts: if the store cannot continue a segment, each restart leaves
// one that is hardly filled. These are merged.
func TestManyRestarts(t *testing.T) {
	disk := crash.New()
	for n := range 200 {
		s := open(t, disk)
		for i := range 70 {
			require.NoError(t, s.Set(write("k"+decimal(n*70+i), string(make([]byte, 700)), 0)))
		}
		_, err := s.Sweep(100, 1)
		require.NoError(t, err)
		require.NoError(t, s.Save(1))
		s.Close()
	}
	s := open(t, disk)
	require.EqualValues(t, 200*70, s.Stats().Sessions)
	require.Less(t, s.Stats().Segments, 8+3*int(s.Stats().FileBytes/small))
}

// TestHints opens a store by hints: it finds the same, and reads only the last
// segments.
func TestHints(t *testing.T) {
	disk, want := sample(t, true)
	s := open(t, disk)
	st := s.Stats()
	require.NotZero(t, st.Hints)
	require.LessOrEqual(t, st.Scanned, uint64(3))
	require.Zero(t, st.Damaged+st.Torn)
	require.NoError(t, s.Verify())
	for key, value := range want {
		requireValue(t, s, key, value)
	}
	require.EqualValues(t, len(want), st.Sessions)

	// A hint of another segment is ignored.
	hints := 0
	for _, name := range list(t, disk) {
		if name[9:] == "hint" {
			hints++
			b := contents(t, disk, "shard-0/"+name)
			b[len(b)-1] ^= 1
			replace(t, disk, "shard-0/"+name, b)
		}
	}
	s = open(t, disk)
	require.Zero(t, s.Stats().Hints)
	require.EqualValues(t, len(want), s.Stats().Sessions)
	require.NotZero(t, hints)
}

// TestDamagedLive meets a damaged session while it frees space. The session is
// reported as damaged, not as absent, and costs no other.
func TestDamagedLive(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	fill(t, s, 150, "k")
	require.NoError(t, s.Save(1))
	require.NoError(t, s.Set(write("k-149", "says that everything before it was durable", 0)))
	b := contents(t, disk, "shard-0/00000000.segment")
	b[144+40+3] ^= 0x10 // the key of k-0
	replace(t, disk, "shard-0/00000000.segment", b)
	s.Close()
	for _, name := range list(t, disk) {
		if name[9:] == "hint" {
			require.NoError(t, disk.Remove("shard-0/"+name))
		}
	}
	s = open(t, disk)
	require.EqualValues(t, 1, s.Stats().Damaged)
	_, err := s.Get([]byte("k-0"), 1)
	require.ErrorIs(t, err, guest.ErrCorrupt)
	require.ErrorIs(t, s.Set(guest.Write{Key: []byte("k-0"), Now: 1, Expect: 5}), guest.ErrCorrupt)
	for round := range 40 {
		for i := 1; i < 150; i++ {
			require.NoError(t, s.Set(write("k-"+decimal(i), "round "+decimal(round)+string(make([]byte, 300)), 0)))
		}
		require.NoError(t, s.Save(1))
	}
	require.NoError(t, s.Verify())
	_, err = s.Get([]byte("k-0"), 1)
	require.True(t, errors.Is(err, guest.ErrCorrupt), "%v", err)
	require.NoError(t, s.Delete([]byte("k-0"), 1))
	requireNone(t, s, "k-0")
	s = open(t, disk)
	requireNone(t, s, "k-0")
}

// TestClockGoesBack: a session has expired and its segment was freed, while an
// older version of it, which had expired by then, lies in another. When the
// clock goes back, that version must not be seen.
func TestClockGoesBack(t *testing.T) {
	const now = 100 * hour
	disk := crash.New()
	s := open(t, disk)
	set := func(key, value string, expires, now int64) {
		require.NoError(t, s.Set(guest.Write{Key: []byte(key), Value: []byte(value), Expires: expires, Now: now}))
	}
	filler := string(make([]byte, small-4096))
	set("keeps the segment", filler, 0, now)
	set("k", "older", now+1000, now)
	set("another", filler, now+1000, now)
	set("k", "newer", now+1001, now)
	set("one more", filler, 0, now)
	require.NoError(t, s.Save(now))
	for range 50 {
		_, err := s.Sweep(1000, now+2000)
		require.NoError(t, err)
	}
	require.NotZero(t, s.Stats().Compacted)
	require.NoError(t, s.Save(now+2000))
	s = open(t, disk)
	got, err := s.Get([]byte("k"), now)
	require.True(t, err != nil || string(got) == "newer", "%s", got)
	require.NoError(t, s.Verify())
}
