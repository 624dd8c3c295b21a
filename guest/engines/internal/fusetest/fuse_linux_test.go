package fusetest

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/servertest/visitors"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// The requests that visitors make.
var (
	all   = []string{visitors.Bump, visitors.Bump, visitors.Bump, visitors.LogIn, visitors.End}
	bumps = []string{visitors.Bump}
)

// crashes is how often the power goes. Starting the server takes most of the time, so
// it is only a few times unless WADDLE_CRASHES says how often.
func crashes(t *testing.T) int {
	text := os.Getenv("WADDLE_CRASHES")
	if text == "" {
		return spread
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// spread is over how many rounds the faults are distributed.
const spread = 3

// TestServerOnADiskThatFails: a disk fails in every way that disks do, one after the
// other. After each fault it is well again, and in the end its power goes. Nothing that
// was answered is lost, nothing is mixed up, nothing that was ended comes back, and a
// refused client is told to try again. Once nothing is wrong with the disk, nothing is
// refused.
//
// With durability at every commit a power cut loses nothing, whatever was wrong with
// the disk. With durability at intervals it loses what was not saved, and a killed
// process loses nothing.
func TestServerOnADiskThatFails(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: servers start many times")
	}
	for _, engine := range []string{"keyfolder", "dynfile"} {
		for _, durability := range []string{"commit", "interval"} {
			t.Run(engine+"/"+durability, func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				if text := os.Getenv("FUSETEST_SEED"); text != "" {
					var err error
					seed, err = strconv.ParseUint(text, 10, 64)
					require.NoError(t, err)
				}
				t.Logf("FUSETEST_SEED=%d", seed)
				rng := rand.New(rand.NewPCG(seed, 0))
				m := newMachine(t, rand.New(rand.NewPCG(seed, 1)))
				s := newSite(t, m, engine, durability)
				rounds := crashes(t)
				for round := range rounds {
					m.boot()
					if round%2 == 1 {
						s.cutWhileStarting(t, rng)
						m.boot()
					}
					if round%2 == 0 && round > 0 {
						m.suffer(full)
					}
					require.True(t, s.start(t), "the server starts")
					s.check(t)
					m.suffer(nil)
					var plan []*fault
					for i, f := range faults {
						if i%spread == round%spread {
							plan = append(plan, f)
						}
					}
					rng.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
					for _, f := range plan {
						s.suffer(t, f, rng)
					}
					if durability == "interval" && round%2 == 1 {
						s.cutWhatWasNotSaved(t, rng)
					} else {
						s.cut(rng, all, faults[rng.IntN(len(faults))])
						m.ends(durability == "commit", rng)
					}
					if t.Failed() {
						t.FailNow()
					}
				}
				m.boot()
				require.True(t, s.start(t), "the server starts")
				s.check(t)
				require.Positive(t, s.struck)
				t.Logf("%d power cuts, %d answers, %d refusals", rounds, s.answered.Load(), s.refused.Load())
			})
		}
	}
}

// check requires that the server, on a disk that is well, has everything that visitors
// were told.
func (s *site) check(t *testing.T) {
	t.Helper()
	s.well.Store(true)
	defer s.well.Store(false)
	for _, v := range s.everybody {
		v.Check(&s.Site)
	}
}

// suffer gives the disk a fault for a while. As soon as the disk is well again, so is
// the site.
func (s *site) suffer(t *testing.T, f *fault, rng *rand.Rand) {
	t.Helper()
	refused := s.refused.Load()
	s.machine.suffer(f)
	lasts := 200 * time.Millisecond
	if s.durability == "interval" && !slices.Contains(f.ops, crash.Write) && slices.Contains(f.ops, crash.Sync) {
		lasts = 1300 * time.Millisecond // or no sync would meet it
	}
	until := time.Now().Add(lasts)
	s.visit(rng, all, func() bool { return time.Now().Before(until) && s.unlessFailed() })
	hits := s.machine.suffer(nil)
	refused = s.refused.Load() - refused
	t.Logf("%s: %d times, %d requests are refused", f.name, hits, refused)
	time.Sleep(100 * time.Millisecond) // the longest that a busy engine rests
	s.well.Store(true)
	s.visit(rng, all, times(30))
	s.well.Store(false)
	s.check(t)
	s.struck += hits
	if t.Failed() {
		t.Fatalf("that was after this fault: %s\n%s", f.name, s.log)
	}
}

// cut lets visitors continue until the power goes during a fault or soon after it. The
// caller may make it the end of the process instead.
func (s *site) cut(rng *rand.Rand, may []string, f *fault) {
	s.machine.suffer(f)
	// A disk that refuses everything would never reach the change at which the power
	// goes.
	well := time.AfterFunc(300*time.Millisecond, func() { s.machine.suffer(nil) })
	s.machine.cutAt(1 + rng.IntN(400))
	s.visit(rng, may, s.unlessFailed)
	well.Stop()
	s.kill()
	s.machine.halt()
	s.machine.suffer(nil)
}

// cutWhileStarting cuts the power while the server starts, or soon after. With
// durability at intervals only the process ends.
func (s *site) cutWhileStarting(t *testing.T, rng *rand.Rand) {
	t.Helper()
	s.machine.cutAt(1 + rng.IntN(40))
	if s.start(t) {
		s.visit(rng, all, s.unlessFailed)
	}
	s.kill()
	s.machine.halt()
	s.machine.ends(s.durability == "commit", rng)
}

// cutWhatWasNotSaved cuts the power when visitors have continued for a moment after
// everything was saved. Everything is saved when there is nothing left to sync: while
// something is unsaved, a save is tried every second.
func (s *site) cutWhatWasNotSaved(t *testing.T, rng *rand.Rand) {
	t.Helper()
	require.Eventually(t, func() bool { return s.machine.calm() > 2500*time.Millisecond }, 2*time.Minute, 50*time.Millisecond,
		"everything written is saved")
	for _, v := range s.everybody {
		v.Saved()
	}
	s.cut(rng, bumps, nil)
	s.machine.ends(true, rng)
	for _, v := range s.everybody {
		v.Unsaved()
	}
}

// unlessFailed allows everything until the test has failed.
func (s *site) unlessFailed() bool { return !s.T.Failed() }

// times allows that many actions.
func times(n int64) func() bool {
	var done atomic.Int64
	return func() bool { return done.Add(1) <= n }
}
