package folder_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// flush runs a round, which saves what was there when it began.
func flush(s *folder.Store, step int) error {
	for {
		if left, err := s.Flush(step, 1); left == 0 || err != nil {
			return err
		}
	}
}

// While rounds run, sessions are written and removed, and then the power goes.
// Everything that was there when a completed round began is still there, or
// something newer is.
func TestFlushWhileOthersWrite(t *testing.T) {
	for seed := range uint64(40 * chances(t)) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s := newScript(crash.New())
		require.NoError(t, s.open())
		s.disk.Linger(1 + rng.IntN(8))
		begun, running, rounds := history(nil), false, 0
		end := 20 + rng.IntN(400)
		for step := range end {
			where := fmt.Sprintf("seed %d, step %d", seed, step)
			switch n := rng.IntN(scriptKeys); rng.IntN(8) {
			case 0, 1:
				require.NoError(t, s.set(n, step+1, 100+rng.IntN(6000)), where)
			case 2:
				require.NoError(t, s.delete(n), where)
			case 3:
				require.NoError(t, s.sweep(), where)
			case 4:
				if rng.IntN(8) == 0 {
					require.NoError(t, s.clear(), where)
				}
			default:
				if !running {
					begun, running = s.history.clone(), true
				}
				left, err := s.store.Flush(1+rng.IntN(2), 1)
				require.NoError(t, err, where)
				require.LessOrEqual(t, left, scriptKeys, where)
				if left == 0 {
					for k, states := range s.history {
						s.history[k] = states[len(begun[k])-1:]
					}
					running, rounds = false, rounds+1
				}
			}
		}
		if end > 240 {
			require.Positive(t, rounds)
		}
		s.disk.Restart(crash.Some(rng))
		require.NoError(t, s.open())
		found(t, s.store, s.history, fmt.Sprintf("seed %d", seed))
	}
}

// A round costs about as much as Save, whatever the length of its steps, and each
// step costs in proportion to its changes.
func TestFlushCosts(t *testing.T) {
	const sessions = 200
	syncs := func(save func(*folder.Store) error) (n int) {
		disk := crash.New()
		s := open(t, disk)
		for n := range sessions {
			set(t, s, key(n), value(1, 300))
		}
		disk.Hook(func(op crash.Op) (int, error) {
			if op.Kind == crash.Sync || op.Kind == crash.SyncDir {
				n++
			}
			return 0, nil
		})
		require.NoError(t, save(s))
		disk.Restart(crash.Nothing)
		require.Len(t, keys(t, open(t, disk), 1), sessions)
		return n
	}
	whole := syncs(func(s *folder.Store) error { return s.Save(1) })
	require.GreaterOrEqual(t, whole, 3*sessions)
	for _, step := range []int{1, 7, 1000} {
		require.Equal(t, whole, syncs(func(s *folder.Store) error { return flush(s, step) }), "steps of %d", step)
	}

	disk := crash.New()
	s := open(t, disk)
	for n := range sessions {
		set(t, s, key(n), value(1, 300))
	}
	for left := sessions; left > 0; {
		before, changes := left, disk.Changes()
		left, _ = s.Flush(10, 1)
		require.LessOrEqual(t, left, before)
		require.LessOrEqual(t, disk.Changes()-changes, 10*6+2)
	}
}

// A step waits for no sync, and only few steps in a row find that none is over. The
// host sees that the round goes on.
func TestFlushWaitsForNothing(t *testing.T) {
	const sessions = 40
	for _, step := range []int{1, 4, 100} {
		disk := crash.New()
		s := open(t, disk)
		for n := range sessions {
			set(t, s, key(n), value(1, 300))
		}
		disk.Linger(8)
		most := 0
		idle, least := 0, sessions
		for left := sessions; left > 0; {
			waited := disk.Waited()
			var err error
			left, err = s.Flush(step, 1)
			require.NoError(t, err)
			require.Equal(t, waited, disk.Waited(), "left %d", left)
			most = max(most, disk.Behind())
			if idle++; left < least {
				least, idle = left, 0
			}
			require.Less(t, idle, 64, "a host takes it for endless")
		}
		require.Equal(t, 16, most, "side by side")
		disk.Restart(crash.Nothing)
		require.Len(t, keys(t, open(t, disk), 1), sessions)
	}

	// A sync that takes for ever is waited for in the end, and not more often than
	// necessary.
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(1), value(1, 300))
	disk.Linger(1 << 20)
	calls, idle, least, waited := 0, 0, 2, disk.Waited()
	for left := 1; left > 0; calls++ {
		left, _ = s.Flush(4, 1)
		if idle++; left < least {
			least, idle = left, 0
		}
		require.Less(t, idle, 64, "a host takes it for endless")
	}
	require.Greater(t, calls, 16)
	require.LessOrEqual(t, disk.Waited()-waited, 5, "one for each")
}

// TestFlushEndsForAHostThatMakesNoPauses: whatever a sync takes, a round ends in some calls
// for each change.
func TestFlushEndsForAHostThatMakesNoPauses(t *testing.T) {
	for _, linger := range []int{1, 8, 30, 200, 1 << 20} {
		for _, sessions := range []int{14, 200} {
			disk := crash.New()
			s := open(t, disk)
			for n := range sessions {
				set(t, s, key(n), value(1, 300))
			}
			disk.Linger(linger)
			calls := 0
			for left := 1; left > 0; calls++ {
				var err error
				left, err = s.Flush(8, 1)
				require.NoError(t, err)
			}
			require.LessOrEqual(t, calls, 10*sessions, "a sync is over when it was asked %d times", linger)
		}
	}
}

// A record that is written again and again while it is synced is synced all the same.
func TestFlushOfARecordThatIsWrittenAllTheTime(t *testing.T) {
	for _, size := range []int{300, 6000} {
		disk := crash.New()
		s := open(t, disk)
		set(t, s, key(1), value(1, size))
		require.NoError(t, s.Save(1))
		set(t, s, key(1), value(2, size))
		disk.Linger(4)
		revision := 2
		for left, calls := 1, 0; left > 0; calls++ {
			var err error
			left, err = s.Flush(4, 1)
			require.NoError(t, err)
			require.Less(t, calls, 100)
			for range 2 {
				revision++
				set(t, s, key(1), value(revision, size))
			}
		}
		disk.Restart(crash.Nothing)
		v, err := open(t, disk).Get(key(1), 1)
		require.NoError(t, err)
		require.GreaterOrEqual(t, abi.Revision(v), uint64(2), "what was there when the round began, or newer")
	}
}

// A record that cannot be made durable does not keep the round from saving
// others, and the end of the round reports it.
func TestFlushGoesOnAfterAFailure(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	for n := range 30 {
		set(t, s, key(n), value(1, 300))
	}
	damaged := ""
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Sync && (damaged == "" || damaged == op.Name) {
			damaged = op.Name
			return 0, syscall.EIO
		}
		return 0, nil
	})
	left, err := s.Flush(3, 1)
	require.NoError(t, err)
	require.Greater(t, left, 20)
	require.ErrorIs(t, flush(s, 3), guest.ErrUnavailable)
	disk.Hook(nil)
	require.NoError(t, flush(s, 3))
	disk.Restart(crash.Nothing)
	require.Len(t, keys(t, open(t, disk), 1), 30)
}

// The list does not grow without end if no round finds all changes done.
func TestListWhileOthersWrite(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	for n := range 6000 {
		set(t, s, key(n), value(1, 100))
		if n%2 == 0 {
			_, err := s.Flush(2, 1)
			require.NoError(t, err)
		}
		set(t, s, key(n), value(2, 100))
	}
	info, err := disk.Stat("pending-0")
	require.NoError(t, err)
	require.Less(t, info.Size, int64(32*3000))
	require.NoError(t, s.Save(1))
	info, err = disk.Stat("pending-0")
	require.NoError(t, err)
	require.EqualValues(t, 32, info.Size)
}
