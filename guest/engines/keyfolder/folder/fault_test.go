package folder_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// visible requires that a store has, for every key, what was last answered.
func (s *script) visible(t *testing.T, where string) {
	t.Helper()
	newest := make(history)
	for k := range s.acked {
		newest.note(k, s.acked.newest(k))
	}
	found(t, s.store, newest, where)
}

// isAnswer requires that an error is one that the interface allows for the
// operation.
func isAnswer(t *testing.T, err error, where string) {
	t.Helper()
	for _, answer := range []error{guest.ErrNoSpace, guest.ErrUnavailable, guest.ErrDenied} {
		if errors.Is(err, answer) {
			return
		}
	}
	require.Fail(t, "not an answer", "%s: %v", where, err)
}

// Every operation on files fails once, in every way. The store's operation then
// fails and changes nothing, or works all the same. What the next successful
// Save promises is true.
func TestFaults(t *testing.T) {
	count := func() int {
		n := 0
		s := newScript(crash.New())
		s.step = 2
		s.disk.Hook(func(crash.Op) (int, error) { n++; return 0, nil })
		require.NoError(t, s.run())
		return n
	}()
	require.Greater(t, count, 200)
	for at, c := range []struct {
		name  string
		errno error
		fails func(crash.Op) bool
		keep  func(crash.Op) int
	}{
		// A file that cannot be closed, and nothing that works from then on until the
		// process ends, is more than the next instance can know of.
		{"EIO", syscall.EIO, func(op crash.Op) bool { return op.Kind != crash.Close }, func(crash.Op) int { return 0 }},
		{"a short write", syscall.ENOSPC, func(op crash.Op) bool { return op.Kind == crash.Write }, func(op crash.Op) int { return op.Size - 1 }},
		{"an error for nothing", syscall.EIO, func(op crash.Op) bool { return op.Kind == crash.Write }, func(op crash.Op) int { return op.Size }},
		{"no room", syscall.ENOSPC, takesRoom, func(crash.Op) int { return 0 }},
		{"a quota", syscall.EDQUOT, takesRoom, func(op crash.Op) int { return op.Size / 2 }},
		{"read-only", syscall.EROFS, crash.Op.Change, func(crash.Op) int { return 0 }},
		{"closing", syscall.EIO, func(op crash.Op) bool { return op.Kind == crash.Close }, func(crash.Op) int { return 0 }},
		{"too many files", syscall.EMFILE, func(op crash.Op) bool { return op.Kind == crash.Open || op.Kind == crash.Create }, func(crash.Op) int { return 0 }},
	} {
		for _, times := range []int{1, 3, 1 << 30} {
			t.Run(fmt.Sprintf("%s, %d times", c.name, times), func(t *testing.T) {
				// Each kind of failure begins at another operation, so that
				// together they cover all of them.
				step := 2
				if testing.Short() || times > 1 {
					step = 9
				}
				for n := 1 + at%step; n <= count; n += step {
					s := newScript(crash.New())
					s.step = n % 3 // with Save, and with Flush
					ops, failed := 0, 0
					hook := func(op crash.Op) (int, error) {
						if ops++; ops >= n && failed < times && c.fails(op) {
							failed++
							return c.keep(op), c.errno
						}
						return 0, nil
					}
					for at, do := range s.steps() {
						where := fmt.Sprintf("operation %d, step %d", n, at)
						s.disk.Hook(hook)
						saves := s.history.clone()
						err := do()
						s.disk.Hook(nil)
						if s.store == nil {
							isAnswer(t, err, where)
							require.NoError(t, s.open(), where)
						}
						if err != nil && !errors.Is(err, guest.ErrNotFound) { // the touched record may be absent
							isAnswer(t, err, where)
						}
						s.visible(t, where)
						saved := err == nil && len(saves[name(0)]) > 1 && len(s.history[name(0)]) == 1
						if saved && failed > 0 {
							s.disk.Restart(crash.Nothing)
							require.NoError(t, s.open(), where)
							s.visible(t, where+", after a Save that succeeded and a power loss")
							break
						}
					}
					require.NoError(t, s.store.Save(1))
					// What was refused may lie on the disk beside what was not.
					survives := []crash.Survival{crash.Nothing, crash.Everything}[n/step%2]
					s.disk.Restart(survives)
					require.NoError(t, s.open())
					s.visible(t, fmt.Sprintf("operation %d, in the end", n))
				}
			})
		}
	}
}

func takesRoom(op crash.Op) bool {
	switch op.Kind {
	case crash.Create, crash.Mkdir, crash.Write, crash.Rename:
		return true
	}
	return false
}

// A failed sync is not believed when the next one succeeds: the record is
// written again.
func TestSyncFails(t *testing.T) {
	for _, killed := range []bool{false, true} {
		disk := crash.New()
		s := open(t, disk)
		set(t, s, key(1), value(1, 300))
		require.NoError(t, s.Save(1))
		set(t, s, key(1), value(2, 300))
		disk.Hook(func(op crash.Op) (int, error) {
			if op.Kind == crash.Sync {
				return 0, syscall.EIO
			}
			return 0, nil
		})
		require.ErrorIs(t, s.Save(1), guest.ErrUnavailable)
		disk.Hook(nil)
		if killed {
			disk.Kill(crash.Nothing)
			s = open(t, disk)
		}
		has(t, s, key(1), value(2, 300), 1)
		require.NoError(t, s.Save(1))
		disk.Restart(crash.Nothing)
		has(t, open(t, disk), key(1), value(2, 300), 1)
	}
}

// A write after a failed sync goes to a new file, once.
func TestSetAfterSyncFailed(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(1), value(1, 300))
	ops := make(map[crash.Kind]int)
	failing := true
	disk.Hook(func(op crash.Op) (int, error) {
		ops[op.Kind]++
		if failing && op.Kind == crash.Sync {
			return 0, syscall.EIO
		}
		return 0, nil
	})
	require.ErrorIs(t, s.Save(1), guest.ErrUnavailable)
	failing = false
	clear(ops)
	set(t, s, key(1), value(2, 300))
	require.Equal(t, []int{1, 1}, []int{ops[crash.Rename], ops[crash.Sync]})
	set(t, s, key(1), value(3, 300))
	require.NoError(t, s.Save(1))
	require.Equal(t, []int{1, 2}, []int{ops[crash.Rename], ops[crash.Sync]})
	disk.Restart(crash.Nothing)
	has(t, open(t, disk), key(1), value(3, 300), 1)
}

// A write that failed although all of it was done is not seen, not even by the
// next instance.
func TestFailedWriteIsGone(t *testing.T) {
	for _, before := range []string{"set", "delete"} {
		disk := crash.New()
		s := open(t, disk)
		set(t, s, key(1), value(1, 300))
		want := value(1, 300)
		if before == "delete" {
			require.NoError(t, s.Delete(key(1), 1))
			want = nil
		}
		disk.Hook(func(op crash.Op) (int, error) {
			if op.Kind == crash.Write {
				return op.Size, syscall.EIO
			}
			return 0, nil
		})
		require.ErrorIs(t, s.Set(guest.Write{Key: key(1), Value: value(2, 300), Now: 1}), guest.ErrUnavailable)
		disk.Kill(crash.Nothing)
		has(t, open(t, disk), key(1), want, 1)
	}
}

// A file that fails to be closed may not have what was written to it. The write is
// refused, and not seen later, by this instance or the next. In each round another
// call for closing fails, and the file may or may not be opened again at once.
func TestClosingFails(t *testing.T) {
	for _, before := range []string{"nothing", "set", "saved", "deleted"} {
		for _, opens := range []bool{true, false} {
			for _, removes := range []bool{true, false} {
				where := fmt.Sprintf("%s before, opens %v, removes %v", before, opens, removes)
				disk := crash.New()
				s := open(t, disk)
				want := value(1, 300)
				switch before {
				case "nothing":
					want = nil
				case "set":
					set(t, s, key(1), want)
				case "saved":
					set(t, s, key(1), want)
					require.NoError(t, s.Save(1))
				case "deleted":
					want = nil
					set(t, s, key(1), value(1, 300))
					require.NoError(t, s.Delete(key(1), 1))
				}
				failing, closed := true, false
				disk.Hook(func(op crash.Op) (int, error) {
					is := failing && strings.HasSuffix(op.Name, "/session")
					switch {
					case is && op.Kind == crash.Close:
						closed = true
						return 0, syscall.EIO
					case is && closed && !opens && op.Kind == crash.Open,
						is && closed && !removes && op.Kind == crash.Remove:
						return 0, syscall.EIO
					}
					return 0, nil
				})
				require.ErrorIs(t, s.Set(guest.Write{Key: key(1), Value: value(2, 300), Now: 1}), guest.ErrUnavailable, where)
				failing = false
				require.True(t, closed, where)
				has(t, s, key(1), want, 1)
				require.NoError(t, s.Save(1), where)
				has(t, s, key(1), want, 1)
				disk.Restart(crash.Everything)
				has(t, open(t, disk), key(1), want, 1)
			}
		}
	}
}

// A full disk can be emptied: removing needs no room.
func TestFullDisk(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	for k := range 20 {
		set(t, s, key(k), value(1, 300))
	}
	require.NoError(t, s.Save(1))
	set(t, s, key(3), value(2, 300))
	full := func(op crash.Op) (int, error) {
		if takesRoom(op) && op.Kind != crash.Rename {
			return op.Size / 3, syscall.ENOSPC
		}
		return 0, nil
	}
	disk.Hook(full)
	require.ErrorIs(t, s.Set(guest.Write{Key: key(1), Value: value(3, 300), Now: 1}), guest.ErrNoSpace)
	require.ErrorIs(t, s.Set(guest.Write{Key: key(99), Value: value(3, 300), Now: 1}), guest.ErrNoSpace)
	require.ErrorIs(t, s.Touch(key(1), 100, 1), guest.ErrUnavailable, "NO_SPACE is not among its answers")
	has(t, s, key(1), value(1, 300), 1)
	has(t, s, key(99), nil, 1)
	for k := range 10 {
		require.NoError(t, s.Delete(key(k), 1))
	}
	require.NoError(t, s.Save(1))
	disk.Restart(crash.Nothing)
	s = open(t, disk)
	require.Len(t, keys(t, s, 1), 10)

	disk.Hook(full)
	require.NoError(t, s.Clear(1))
	require.NoError(t, s.Save(1))
	_, err := s.Sweep(1000, 1)
	require.NoError(t, err)
	require.Empty(t, keys(t, s, 1))
}

// A deletion for which the list has no room is durable at once, for the sake of
// the next instance.
func TestDeleteWithoutRoomInTheList(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(1), value(1, 300))
	require.NoError(t, s.Save(1))
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Write {
			return 0, syscall.ENOSPC
		}
		return 0, nil
	})
	require.NoError(t, s.Delete(key(1), 1))
	disk.Kill(crash.Nothing)
	s = open(t, disk)
	has(t, s, key(1), nil, 1)
	require.NoError(t, s.Save(1))
	disk.Restart(crash.Nothing)
	has(t, open(t, disk), key(1), nil, 1)
}

// A write that failed may have reached the file all the same, and the write that
// undoes it may not have reached the disk when the power goes.
func TestRefusedIsNotThereAfterAPowerLoss(t *testing.T) {
	survivals := []crash.Survival{crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths}
	for seed := range uint64(60) {
		survivals = append(survivals, crash.Some(rand.New(rand.NewPCG(seed, 1))))
	}
	for _, survival := range survivals {
		disk := crash.New()
		s := open(t, disk)
		set := func(key, value string) error {
			return s.Set(guest.Write{Key: []byte(key), Value: []byte("revision" + value), Now: 1})
		}
		require.NoError(t, set("a", "before"))
		require.NoError(t, s.Save(1))
		disk.Hook(func(op crash.Op) (int, error) {
			if op.Kind == crash.Write && strings.HasSuffix(op.Name, "/session") && op.Size > 40 {
				return op.Size, syscall.ENOSPC
			}
			return 0, nil
		})
		require.ErrorIs(t, set("a", "refused"), guest.ErrNoSpace)
		require.ErrorIs(t, set("b", "refused"), guest.ErrNoSpace)
		disk.Hook(nil)
		disk.Restart(survival)
		s = open(t, disk)
		got, err := s.Get([]byte("a"), 1)
		require.NoError(t, err)
		require.Equal(t, "revisionbefore", string(got))
		_, err = s.Get([]byte("b"), 1)
		require.ErrorIs(t, err, guest.ErrNotFound)
	}
}
