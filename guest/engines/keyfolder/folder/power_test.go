package folder_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// history is what a key may be found to have: its state at the last successful
// Save, and everything requested since. "" means nothing.
type history map[string][]string

func (h history) note(k, v string) { h[k] = append(h[k], v) }

// saved keeps only the newest.
func (h history) saved() {
	for k, states := range h {
		h[k] = states[len(states)-1:]
	}
}

func (h history) newest(k string) string { return h[k][len(h[k])-1] }

func (h history) clone() history {
	c := make(history)
	for k, states := range h {
		c[k] = append([]string(nil), states...)
	}
	return c
}

// script is a workload that a failure ends. It notes what it is about to do, and
// counts what was acknowledged.
type script struct {
	disk    *crash.Disk
	fs      vfs.FS // the disk, or what is in front of it
	step    int    // of Flush, instead of Save; 0 for Save
	store   *folder.Store
	history history
	acked   history // the newest is what was last answered
}

func newScript(disk *crash.Disk) *script {
	s := &script{disk: disk, fs: disk, history: make(history), acked: make(history)}
	for n := range scriptKeys {
		s.history.note(name(n), "")
		s.acked.note(name(n), "")
	}
	return s
}

const scriptKeys = 6

func name(n int) string { return string(key(n)) }

func (s *script) set(n, revision, size int) error {
	v := value(revision, size)
	s.history.note(name(n), string(v))
	err := s.store.Set(guest.Write{Key: key(n), Value: v, Now: 1})
	if err == nil {
		s.acked.note(name(n), string(v))
	}
	return err
}

func (s *script) delete(n int) error {
	s.history.note(name(n), "")
	err := s.store.Delete(key(n), 1)
	if err == nil {
		s.acked.note(name(n), "")
	}
	return err
}

func (s *script) clear() error {
	for n := range scriptKeys {
		s.history.note(name(n), "")
	}
	err := s.store.Clear(1)
	if err == nil {
		for n := range scriptKeys {
			s.acked.note(name(n), "")
		}
	}
	return err
}

func (s *script) save() error {
	var err error
	if s.step > 0 {
		err = flush(s.store, s.step)
	} else {
		err = s.store.Save(1)
	}
	if err == nil {
		s.history.saved()
	}
	return err
}

func (s *script) sweep() error {
	_, err := s.store.Sweep(50, 1)
	return err
}

func (s *script) open() (err error) {
	s.store, err = folder.Open(s.fs, folder.Options{Shards: 1, MaxPending: 16})
	return err
}

// run runs all steps.
func (s *script) run() error {
	for _, step := range s.steps() {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// steps are the operations. A host opens again in the middle after a trap.
func (s *script) steps() []func() error {
	return []func() error{
		s.open,
		func() error { return s.set(0, 1, 300) },
		func() error { return s.set(1, 2, 5000) },
		s.save,
		func() error { return s.set(0, 3, 300) },
		func() error { return s.set(0, 4, 200) },
		func() error { return s.set(0, 5, 400) },
		func() error { return s.delete(1) },
		func() error { return s.set(2, 6, 300) },
		s.save,
		func() error { return s.delete(0) },
		func() error { return s.set(0, 7, 300) },
		func() error { return s.set(1, 8, 300) },
		func() error { return s.delete(2) },
		s.sweep,
		s.open,
		func() error { return s.set(1, 9, 300) },
		func() error { return s.store.Touch(key(0), 1<<40, 1) },
		s.save,
		func() error { return s.delete(1) },
		s.sweep,
		s.save,
		s.clear,
		func() error { return s.set(0, 10, 300) },
		s.sweep,
		func() error { return s.set(3, 11, 300) },
		s.save,
		func() error { return s.set(3, 12, 300) },
		s.open,
		func() error { return s.set(4, 13, 300) },
		func() error { return s.delete(3) },
		s.save,
		s.sweep,
		func() error { return s.set(4, 14, 6000) },
		func() error { return s.set(5, 15, 300) },
		func() error { return s.set(3, 16, 10000) },
		func() error { return s.set(3, 17, 12000) },
		func() error { return s.set(3, 18, 9000) },
		func() error { return s.set(0, 19, 17000) },
		s.save,
		func() error { return s.set(3, 20, 16000) },
		func() error { return s.set(3, 21, 300) },
		func() error { return s.set(0, 22, 300) },
		s.sweep,
		func() error { return s.set(0, 23, 5000) },
		s.open,
		func() error { return s.set(5, 24, 300) },
		func() error { return s.set(5, 25, 300) },
		func() error { return s.set(5, 26, 300) },
		s.save,
		func() error { return s.set(5, 27, 17000) },
		s.save,
		s.clear,
		s.save,
	}
}

// survivals are all the ways in which these tests cut the power.
func survivals(chances int) []crash.Survival {
	list := []crash.Survival{crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths}
	for seed := range chances {
		list = append(list, crash.Some(rand.New(rand.NewPCG(uint64(seed), 7))))
	}
	return list
}

// found returns what a store has for each key, and requires it to be in a history.
func found(t *testing.T, s *folder.Store, h history, where string) history {
	t.Helper()
	is := make(history)
	for k, states := range h {
		v, err := s.Get([]byte(k), 1)
		if err != nil {
			// An unsaved, torn record also counts as absent: that is no damage.
			require.ErrorIs(t, err, guest.ErrNotFound, where)
		}
		if !slices.Contains(states, string(v)) {
			require.Fail(t, "a value that should be gone, or that never existed",
				"%s: found %s, may be %s", where, short(string(v)), short(states...))
		}
		is.note(k, string(v))
	}
	return is
}

// short names values by their revisions.
func short(values ...string) (list string) {
	for _, v := range values {
		list += fmt.Sprintf("[%d] ", abi.Revision([]byte(v)))
	}
	return list
}

// chances is how many random outcomes are tried at each point. CHANCES=200 tries
// more.
func chances(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv("CHANCES")); err == nil {
		return n
	}
	if testing.Short() {
		return 1
	}
	return 3
}

// The power is cut at every change of the script. What was saved is there, or
// something written after it; and what is there stays.
func TestPowerLoss(t *testing.T) {
	for _, step := range []int{0, 1} {
		t.Run(fmt.Sprintf("steps of %d", step), func(t *testing.T) { testPowerLoss(t, step) })
	}
}

func testPowerLoss(t *testing.T, step int) {
	whole := newScript(crash.New())
	whole.step = step
	require.NoError(t, whole.run())
	changes := whole.disk.Changes()
	require.Greater(t, changes, 150)
	for cut := 1; cut <= changes; cut++ {
		for n := range survivals(chances(t)) {
			where := fmt.Sprintf("cut at %d, survival %d", cut, n)
			s := newScript(crash.New())
			s.step = step
			s.disk.CutAt(cut)
			require.ErrorIs(t, s.runUntilPower(), crash.ErrPower, where)
			s.disk.Restart(survivals(chances(t))[n])

			require.NoError(t, s.open(), where)
			is := found(t, s.store, s.history, where)
			// Looking changes nothing, nor does opening once more. What was seen
			// and then saved survives another power loss.
			require.NoError(t, s.open(), where)
			found(t, s.store, is, where+", opened again")
			require.NoError(t, s.store.Save(1), where)
			s.disk.Restart(survivals(chances(t))[(n+cut)%len(survivals(chances(t)))])
			require.NoError(t, s.open(), where)
			found(t, s.store, is, where+", the second time")

			// The store also works.
			for n := range scriptKeys {
				require.NoError(t, s.store.Set(guest.Write{Key: key(n), Value: value(99, 100), Now: 1}))
			}
			require.NoError(t, s.store.Save(1))
			s.disk.Restart(crash.Nothing)
			require.NoError(t, s.open())
			for n := range scriptKeys {
				has(t, s.store, key(n), value(99, 100), 1)
			}
		}
	}
}

// runUntilPower reveals the power loss behind the error that an engine made of it.
func (s *script) runUntilPower() error {
	err := s.run()
	if err != nil && s.disk.Off() {
		return crash.ErrPower
	}
	return err
}

// Two power losses in a row, the second at a random point after the first: what
// the first left behind must not come back after the second.
func TestPowerLossTwice(t *testing.T) {
	rounds := 60 * chances(t)
	for round := range rounds {
		rng := rand.New(rand.NewPCG(uint64(round), 3))
		s := newScript(crash.New())
		for life := range 4 {
			where := fmt.Sprintf("round %d, life %d", round, life)
			s.disk.CutAt(1 + rng.IntN(120))
			err := s.runUntilPower()
			require.ErrorIs(t, err, crash.ErrPower, where)
			if rng.IntN(3) == 0 {
				s.disk.Kill(crash.Some(rng))
			} else {
				s.disk.Restart(crash.Some(rng))
			}
			require.NoError(t, s.open(), where)
			// What is seen now is the state; but it is durable only once it is
			// saved.
			is := found(t, s.store, s.history, where)
			for k, states := range is {
				if s.history.newest(k) != states[0] {
					s.history.note(k, states[0])
				}
			}
			if rng.IntN(2) == 0 {
				require.NoError(t, s.save(), where)
			}
		}
	}
}

// A killed process has lost nothing that was answered, and of its unfinished
// operation all or nothing.
func TestKill(t *testing.T) {
	whole := newScript(crash.New())
	require.NoError(t, whole.run())
	for cut := 1; cut <= whole.disk.Changes(); cut++ {
		for n := range survivals(chances(t)) {
			where := fmt.Sprintf("killed at %d, survival %d", cut, n)
			s := newScript(crash.New())
			s.disk.CutAt(cut)
			require.ErrorIs(t, s.runUntilPower(), crash.ErrPower, where)
			s.disk.Kill(survivals(chances(t))[n])

			require.NoError(t, s.open(), where)
			allowed := make(history)
			for k := range s.acked {
				allowed.note(k, s.acked.newest(k))
				if s.history.newest(k) != s.acked.newest(k) {
					allowed.note(k, s.history.newest(k)) // the unfinished one
				}
			}
			is := found(t, s.store, allowed, where)

			// The next instance's Save covers what this one left.
			require.NoError(t, s.store.Save(1), where)
			s.disk.Restart(crash.Nothing)
			require.NoError(t, s.open(), where)
			found(t, s.store, is, where+", and then the power went")
		}
	}
}
