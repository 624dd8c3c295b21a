package proof_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/interp"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Bounds for a generated module in the yardstick. What takes more is compared as far as
// its budget goes.
const (
	mostFuel  = 300_000
	mostCalls = 700     // nested
	plenty    = 1 << 40 // of stack

	firstStack  = 10_240  // bytes that the compiler's code starts with
	interpreted = 400_000 // bytes, of which the runtime's interpreter takes no more: it has a bound of its own, 2000 calls
)

// counts tell whether a run of many seeds saw what it is for.
type counts struct {
	modules, refused, returned, trapped, ended, tooDeep, stack, started int
	fuel                                                                int64
	stackRatio                                                          float64 // the most stack that was held, for each byte that was allowed
	leaves, counted, lengths, merged, entered                           int
	moved, movedGlobals, fixed                                          int
}

// allowed reports whether a host would take a module, but for its exports.
func allowed(wasm []byte) bool {
	_, err := preflight.Parse(wasm, preflight.Limits{})
	return err == nil
}

// differ runs the module of a seed in every way.
func differ(t testing.TB, seed uint64, shape []byte, n *counts) {
	t.Helper()
	compare(t, modgen.New(seed, shape), seed, fmt.Sprintf("seed %d, %x", seed, shape), n)
}

// compare runs a module in every way. The salt decides about slices and budgets.
func compare(t testing.TB, m modgen.Module, salt uint64, name string, n *counts) {
	t.Helper()
	if !allowed(m.Wasm) {
		n.refused++ // the rewriter need not take it, but does
	}
	n.modules++
	want, deepest := yardstick(t, m, mostFuel, 0)
	last := want.calls[len(want.calls)-1]
	for _, c := range want.calls {
		switch c.ended {
		case "":
			n.returned++
		case interp.ErrFuel.Error():
			n.ended++
		case interp.ErrDepth.Error():
			n.tooDeep++
		default:
			n.trapped++
		}
		n.fuel += c.used
	}
	if want.calls[0].used > 0 {
		n.started++
	}
	endless := last.ended == interp.ErrFuel.Error()
	tooDeep := last.ended == interp.ErrDepth.Error()

	merged, joining := rewritten(t, m.Wasm, rewrite.Options{MergeData: true})
	wasm, report := rewritten(t, m.Wasm, rewrite.Options{Meter: true, MergeData: salt%2 == 0})
	n.leaves, n.counted, n.lengths = n.leaves+report.Leaves, n.counted+report.Counted, n.lengths+report.Lengths
	n.merged += joining.SegmentsBefore - joining.SegmentsAfter
	say := func(what string) string { return name + ": " + what }
	machines := make(map[string]*machine)
	for engine := range engines {
		machines[engine] = newMachine(t, engine, m, wasm, report)
		defer machines[engine].close()
	}
	n.shallow(t, machines, report, want, deepest, salt, say)
	if tooDeep {
		return
	}
	n.enter(t, m, want, endless, salt, say)
	n.move(t, m, want, endless, salt, say)
	for engine, metered := range machines {
		var traces []string
		if !endless {
			plain := newMachine(t, engine, m, m.Wasm, nil)
			got := plain.run(nil)
			require.Equal(t, want.unmetered(), got.unmetered(), say(engine+", as it was"))
			traces = got.traces()
			plain.close()
			joined := newMachine(t, engine, m, merged, nil)
			require.Equal(t, want.unmetered(), joined.run(nil).unmetered(), say(engine+", data merged"))
			joined.close()
		}
		for _, slice := range []int64{16 + int64(salt%100), 1 << 20} {
			count := &meter{budget: mostFuel, slice: slice, depth: plenty}
			got := metered.run(count)
			what := say(fmt.Sprintf("%s, metered, slices of %d", engine, slice))
			require.NoError(t, count.fault, what)
			if !endless {
				require.Equal(t, want.metered(got), got.metered(got), what)
				require.Equal(t, traces, got.traces(), what)
			} else {
				cut(t, m, mostFuel, got, what)
			}
			balanced(t, got, plenty, what)
		}
		if total := used(want); total > 0 && !endless { // with less than it needs
			budget := int64(salt*7919) % total
			got := metered.run(&meter{budget: budget, slice: 1 << 20, depth: plenty})
			cut(t, m, budget, got, say(fmt.Sprintf("%s, metered, %d of %d", engine, budget, total)))
		}
	}
}

// balanced: a call that returns has given back the stack that it took.
func balanced(t testing.TB, o outcome, depth int64, what string) {
	t.Helper()
	for _, c := range o.calls[1:] {
		if c.ended == "" {
			require.Equal(t, depth, c.depth, what)
		}
	}
}

// enter calls exports by the one function that can be added. It is no part of the guest's
// own code, and costs nothing.
func (n *counts) enter(t testing.TB, m modgen.Module, want outcome, endless bool, salt uint64, say func(string) string) {
	t.Helper()
	names := byEntry(t, m)
	if len(names) == 0 || endless {
		return
	}
	n.entered++
	engine := []string{"compiler", "interpreter"}[salt%2]
	wasm, report := rewritten(t, m.Wasm, rewrite.Options{Meter: true, Entry: strings.Join(names, " ")})
	x := newMachine(t, engine, m, wasm, report)
	defer x.close()
	x.entry = names
	got := x.run(&meter{budget: mostFuel, slice: 100, depth: plenty})
	balanced(t, got, plenty, say("by the entry"))
	require.Equal(t, want.metered(got), got.metered(got), say(engine+", by the entry"))
}

// cut checks a module that was stopped by its budget. It has used somewhat more. The
// yardstick, stopped at the same moment, must be in the same state.
func cut(t testing.TB, m modgen.Module, budget int64, got outcome, what string) {
	t.Helper()
	total := used(got)
	last := got.calls[len(got.calls)-1]
	if last.ended != errFuel.Error() { // it ran to its end after the last place where it would have been stopped
		want, _ := yardstick(t, m, 1<<62, 0)
		require.Equal(t, want.metered(got), got.metered(got), what)
	} else {
		require.Greater(t, total, budget, what)
		want, _ := yardstick(t, m, total-1, 0)
		// Where nothing was charged, it may have stopped as well.
		for later := 1; later < 60 && !reflect.DeepEqual(want.metered(got), got.metered(got)); later++ {
			if next, _ := yardstick(t, m, total-1, later); used(next) == total {
				want = next
			}
		}
		require.Equal(t, want.metered(got), got.metered(got), what)
	}
	before, _ := yardstick(t, m, budget, 0)
	require.LessOrEqual(t, total, used(before)+overdraft, what)
}

// overdraft is how much fuel is charged after the budget's end at most, besides the
// charge that crossed it.
const overdraft = 1 << 17

// shallow runs the module with little stack.
func (n *counts) shallow(t testing.TB, machines map[string]*machine, report *rewrite.Report, want outcome, deepest int, salt uint64, say func(string) string) {
	t.Helper()
	if deepest < 4 || want.calls[0].used > 0 {
		return
	}
	depth := int64(deepest) * []int64{50, 100, 300, 1000}[salt%4]
	var got []outcome
	for engine, metered := range machines {
		if engine == "interpreter" && depth > interpreted {
			continue
		}
		o := metered.run(&meter{budget: mostFuel, slice: 1 << 20, depth: depth})
		balanced(t, o, depth, say(engine+", with little stack"))
		require.LessOrEqual(t, int64(o.stack), firstStack+3*(depth+report.Chain), say("bytes of stack"))
		if o.stack > firstStack {
			n.stackRatio = max(n.stackRatio, float64(o.stack)/float64(depth+report.Chain))
		}
		got = append(got, o)
	}
	if len(got) == len(machines) {
		require.Equal(t, got[0].metered(got[0]), got[1].metered(got[1]), say("engines differ about the stack"))
	}
	if last := got[0].calls[len(got[0].calls)-1]; last.ended == errDepth.Error() {
		n.stack++
		for i, c := range got[0].calls[:min(len(got[0].calls), len(want.calls))-1] {
			require.Equal(t, want.calls[i].results, c.results, say("with little stack"))
		}
	} else {
		require.LessOrEqual(t, int64(deepest)*64, depth+report.Chain, say(fmt.Sprintf("%d calls were nested", deepest)))
	}
}

// TestRandomModules: whatever a module does, it does it rewritten, too, and uses the fuel
// that the definition says. WADDLE_PROOF is how long to go on, such as 10m.
func TestRandomModules(t *testing.T) {
	first, last, until := uint64(0), uint64(250), time.Time{}
	if d := long(t); d > 0 {
		first, last, until = uint64(time.Now().UnixNano()), 1<<63, time.Now().Add(d)
	}
	var n counts
	for seed := first; seed < first+last && (until.IsZero() || time.Now().Before(until)); seed++ {
		differ(t, seed, nil, &n)
	}
	t.Logf("%+v", n)
	for what, count := range map[string]int{
		"modules that a host would refuse": n.refused, "calls that return": n.returned, "traps": n.trapped, "calls ended by their budget": n.ended,
		"calls ended for lack of stack": n.stack, "start functions": n.started, "leaves": n.leaves, "functions that count their stack": n.counted,
		"instructions charged by length": n.lengths, "segments that became part of another": n.merged,
		"modules called by one function": n.entered, "modules whose state moved": n.moved, "globals that moved": n.movedGlobals,
		"modules whose state cannot move": n.fixed,
	} {
		require.NotZero(t, count, what)
	}
}

// FuzzModules does the same, led by coverage.
func FuzzModules(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, []byte(strings.Repeat(string(rune('a'+seed)), 64)))
	}
	f.Fuzz(func(t *testing.T, seed uint64, shape []byte) {
		differ(t, seed, shape[:min(len(shape), 4<<10)], new(counts))
	})
}
