package folder_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
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
		begun, running, rounds := history(nil), false, 0
		end := 20 + rng.IntN(200)
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
		if end > 60 {
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
		require.Equal(t, min(before, 10), before-left)
		require.LessOrEqual(t, disk.Changes()-changes, 10*6+2)
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
	require.Equal(t, 27, left)
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
