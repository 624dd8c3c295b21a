package segments_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// TestIndexBuiltInParts opens stores whose files contain many more keys than
// there are sessions, with memory for little more than the sessions.
func TestIndexBuiltInParts(t *testing.T) {
	const sessions, dead = 3000, 9000
	most := func(n int64) func(*segments.Options) {
		return func(o *segments.Options) { o.MaxSessions = n }
	}
	for _, hinted := range []bool{false, true} {
		t.Run(fmt.Sprintf("hints %v", hinted), func(t *testing.T) {
			disk := crash.New()
			s := open(t, disk)
			rng := rand.New(rand.NewPCG(1, 1))
			want := make(map[string]string)
			pad := strings.Repeat("x", 400)
			for n := range sessions {
				key := fmt.Sprintf("session %d", n)
				want[key] = fmt.Sprintf("%d", n)
				require.NoError(t, s.Set(write(key, want[key]+pad, 0)))
			}
			for n := range dead {
				key := fmt.Sprintf("dead %d", n)
				require.NoError(t, s.Set(write(key, "", 0)))
				require.NoError(t, s.Delete([]byte(key), 1))
				if n%3 == 0 { // sessions with several versions, in several segments
					key := fmt.Sprintf("session %d", rng.IntN(sessions))
					want[key] = fmt.Sprintf("%d again", n)
					require.NoError(t, s.Set(write(key, want[key]+pad, 0)))
				}
			}
			if hinted {
				for range 400 {
					_, err := s.Sweep(2000, 1)
					require.NoError(t, err)
				}
			}
			require.NoError(t, s.Save(1))
			stats := s.Stats()
			s.Close()
			entries, err := disk.ReadDir("shard-0")
			require.NoError(t, err)
			for _, e := range entries {
				if strings.HasSuffix(e.Name, ".hint") && !hinted {
					require.NoError(t, disk.Remove("shard-0/"+e.Name))
				}
			}

			for _, c := range []struct {
				most     int64
				inParts  bool
				tooMany  bool
				newFails bool
			}{
				{most: 0},
				{most: 100 * sessions},
				{most: sessions + 1, inParts: true},
				{most: sessions, inParts: true, newFails: true},
				{most: sessions / 2, tooMany: true},
			} {
				s, err := tryOpen(disk, most(c.most))
				if c.tooMany {
					require.ErrorIs(t, err, guest.ErrNoSpace)
					require.ErrorContains(t, err, "raise it")
					continue
				}
				require.NoError(t, err, "at most %d sessions", c.most)
				require.NoError(t, s.Verify())
				got := s.Stats()
				require.Equal(t, c.inParts, got.Ranges > 1, "%d parts with at most %d", got.Ranges, c.most)
				require.Equal(t, hinted, got.Hints > 0)
				require.EqualValues(t, sessions, got.Sessions)
				require.Equal(t, stats.LiveBytes, got.LiveBytes)
				require.Zero(t, got.Damaged)
				for key, value := range want {
					requireValue(t, s, key, value+pad)
				}
				for n := 0; n < dead; n += 100 {
					requireNone(t, s, fmt.Sprintf("dead %d", n))
				}
				err = s.Set(write("one more", "", 0))
				if c.newFails {
					require.ErrorIs(t, err, guest.ErrNoSpace)
				} else {
					require.NoError(t, err)
					require.NoError(t, s.Delete([]byte("one more"), 1))
				}
				require.NoError(t, s.Save(1))
				s.Close()
			}
		})
	}
}

// TestPartsOfOneHash: where nearly all keys have one hash, no range is small
// enough to separate them. Everything undamaged is found all the same.
func TestPartsOfOneHash(t *testing.T) {
	disk := crash.New()
	few := func(o *segments.Options) { o.MaxSessions = 40 }
	same := segments.WithHash(func(key []byte) uint64 { return uint64(len(key)) })
	s := open(t, disk, few, same)
	for n := range 40 {
		require.NoError(t, s.Set(write(strings.Repeat("k", n+1), "value", 0)))
	}
	for n := range 400 {
		key := strings.Repeat("k", 41+n)
		require.ErrorIs(t, s.Set(write(key, "value", 0)), guest.ErrNoSpace)
		require.NoError(t, s.Delete([]byte("k"), 1))
		require.NoError(t, s.Set(write(key, "value", 0)))
		require.NoError(t, s.Delete([]byte(key), 1))
		require.NoError(t, s.Set(write("k", "value", 0)))
	}
	require.NoError(t, s.Save(1))
	s.Close()
	s = open(t, disk, few, same)
	require.Greater(t, s.Stats().Ranges, uint64(3))
	require.NoError(t, s.Verify())
	for n := range 40 {
		requireValue(t, s, strings.Repeat("k", n+1), "value")
	}
}

// TestWarnsBeforeSessionsAreRefused: there is a warning at seven eighths of what
// memory allows, and another only after there was room.
func TestWarnsBeforeSessionsAreRefused(t *testing.T) {
	disk := crash.New()
	s := open(t, disk, func(o *segments.Options) { o.MaxSessions = 800 })
	warned := func() (n int) {
		for _, line := range guest.Logged() {
			if strings.Contains(line.Text, "raise it before") {
				n++
			}
		}
		return n
	}
	warned() // of earlier tests
	for round := range 2 {
		for n := range 800 {
			require.NoError(t, s.Set(write(decimal(n), "", 0)))
			switch {
			case n < 700:
				require.Zero(t, warned(), "round %d, %d", round, n)
			case n == 700:
				require.Equal(t, 1, warned(), "round %d", round)
			}
		}
		require.Zero(t, warned())
		require.ErrorIs(t, s.Set(write("one more", "", 0)), guest.ErrNoSpace)
		for n := range 800 {
			require.NoError(t, s.Delete([]byte(decimal(n)), 1))
		}
		require.NoError(t, s.Set(write("room", "", 0)))
		require.NoError(t, s.Delete([]byte("room"), 1))
		warned()
	}
}

// The index is made for as many sessions as the files may have. Once it is known how many
// they have, it gives back what is too much.
func TestIndexFitsWhatWasLoaded(t *testing.T) {
	for name, versions := range map[string]int{"sessions": 1, "many versions of each": 30} {
		t.Run(name, func(t *testing.T) {
			disk := crash.New()
			s := open(t, disk, func(o *segments.Options) { o.SegmentBytes = 1 << 20 })
			for range versions {
				for n := range 4000 / versions {
					require.NoError(t, s.Set(write("key "+decimal(n), string(make([]byte, 500)), 0)))
				}
			}
			sessions := int(s.Stats().Sessions)
			s.Close()
			s = open(t, disk, func(o *segments.Options) { o.SegmentBytes = 1 << 20 })
			require.NoError(t, s.Verify())
			buckets, roomy := s.Buckets()
			require.False(t, roomy)
			require.GreaterOrEqual(t, buckets, sessions)
			requireValue(t, s, "key 7", string(make([]byte, 500)))
		})
	}
}
