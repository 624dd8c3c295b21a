package segments_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// TestClockThatJumpsAheadAndComesBack: what is stored once the clock is right
// again lives as long as it should, whatever the clock was before.
func TestClockThatJumpsAheadAndComesBack(t *testing.T) {
	for _, c := range []struct {
		ahead, life time.Duration
	}{
		{20 * time.Minute, 15 * time.Minute},
		{8 * 24 * time.Hour, 7 * 24 * time.Hour},
		{50 * 365 * 24 * time.Hour, 7 * 24 * time.Hour},
	} {
		t.Run(c.ahead.String(), func(t *testing.T) {
			const start = int64(1_800_000_000_000)
			disk := crash.New()
			s := open(t, disk)
			now, life := start, c.life.Milliseconds()
			set := func(key, value string) {
				t.Helper()
				require.NoError(t, s.Set(guest.Write{Key: []byte(key), Value: []byte(value), Expires: now + life, Now: now}))
			}
			// churn makes waste, so that compaction goes through everything.
			churn := func() {
				for n := range 400 {
					set(fmt.Sprintf("other %d", n%7), strings.Repeat("x", 900))
				}
				_, err := s.Sweep(1000, now)
				require.NoError(t, err)
				require.NoError(t, s.Save(now))
			}
			churn()
			now = start + c.ahead.Milliseconds()
			churn()

			now = start + 1
			for n := range 100 {
				set(fmt.Sprintf("session %d", n), "alive")
			}
			for n := range 100 {
				require.NoError(t, s.Delete(fmt.Appendf(nil, "session %d", n+100), now))
			}
			compacted := s.Stats().Compacted
			for range 5 {
				churn()
			}
			require.Greater(t, s.Stats().Compacted, compacted, "nothing was compacted: the test checks nothing")
			for range 2 { // as it is, and after opening again
				for n := range 100 {
					got, err := s.Get(fmt.Appendf(nil, "session %d", n), now)
					require.NoError(t, err, "session %d", n)
					require.Equal(t, "alive", string(got))
				}
				require.NoError(t, s.Verify())
				s.Close()
				s = open(t, disk)
			}
		})
	}
}

// TestOlderVersionsStayGoneUnderAClockThatJumps: if a session was swept while the
// clock was ahead, no older version of it reappears when the clock is right
// again.
func TestOlderVersionsStayGoneUnderAClockThatJumps(t *testing.T) {
	const start, minute = int64(1_800_000_000_000), int64(60_000)
	for _, c := range []struct {
		name                  string
		stays, sessions, bulk int
	}{
		{"their segment becomes waste", 80, 3, 80},
		{"nothing else is in their segment", 600, 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := crash.New()
			s := open(t, disk)
			now := start
			set := func(name string, n int, value string, expires int64) {
				t.Helper()
				value += strings.Repeat(".", 900)
				require.NoError(t, s.Set(guest.Write{Key: fmt.Appendf(nil, "%s %d", name, n), Value: []byte(value), Expires: expires, Now: now}))
			}
			// The first versions lie in segments that stay because of what else
			// is in them.
			for n := range c.stays {
				set("stays", n, "", 0)
				if n < c.sessions {
					set("session", n, "first", now+30*minute)
				}
			}
			for n := range c.sessions {
				set("session", n, "second", now+30*minute)
			}
			for n := range c.bulk {
				set("bulk", n, "", 0)
			}
			require.NoError(t, s.Save(now))

			now = start + 40*minute
			for range 20 {
				require.NoError(t, s.Save(now)) // which sweeps, but compacts nothing
			}
			require.EqualValues(t, c.stays+c.bulk, s.Stats().Sessions)
			require.Zero(t, s.Stats().Compacted)

			now = start + minute
			for n := range 240 {
				set("bulk", n%80, "", 0)
			}
			require.NotZero(t, s.Stats().Compacted)
			require.NoError(t, s.Save(now))
			s.Close()
			s = open(t, disk)
			for n := range c.sessions {
				got, err := s.Get(fmt.Appendf(nil, "session %d", n), now)
				if err == nil {
					require.Equal(t, "second", strings.TrimRight(string(got), "."))
				}
			}
		})
	}
}

// TestDeletedStaysSoUnderAClockThatJumps: a tombstone is not dropped by a time
// that the sweeper was never told, since the session itself may still lie in
// another segment.
func TestDeletedStaysSoUnderAClockThatJumps(t *testing.T) {
	const start, day = int64(1_800_000_000_000), int64(86_400_000)
	disk := crash.New()
	s := open(t, disk)
	now := start
	set := func(name string, n int) {
		t.Helper()
		value := strings.Repeat(".", 900)
		require.NoError(t, s.Set(guest.Write{Key: fmt.Appendf(nil, "%s %d", name, n), Value: []byte(value), Expires: now + 7*day, Now: now}))
	}
	_, err := s.Sweep(10, now)
	require.NoError(t, err)
	for n := range 80 {
		set("stays", n)
		if n < 20 {
			set("session", n)
		}
	}
	for n := range 20 {
		require.NoError(t, s.Delete(fmt.Appendf(nil, "session %d", n), now))
	}
	require.NoError(t, s.Save(now))

	now = start + 30*day
	for n := range 400 {
		set("other", n%5)
	}
	require.NotZero(t, s.Stats().Compacted)
	require.NoError(t, s.Save(start))
	s.Close()
	s = open(t, disk)
	for n := range 20 {
		_, err := s.Get(fmt.Appendf(nil, "session %d", n), start)
		require.ErrorIs(t, err, guest.ErrNotFound, "session %d", n)
	}
	for n := range 80 {
		_, err := s.Get(fmt.Appendf(nil, "stays %d", n), start)
		require.NoError(t, err, "stays %d", n)
	}
}
