package plugin_test

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// searchVariable says how long TestSearchCompileCosts searches. searchSeedVariable
// decides its luck.
const (
	searchVariable     = "WADDLE_SEARCH"
	searchSeedVariable = "WADDLE_SEARCH_SEED"
)

// The estimate that a candidate should reach, as far as a number of equal functions
// can: high enough that the measurement is no noise.
const (
	searchWork   = unitsPerSecond
	searchMemory = 200 << 20
)

// found is a candidate, and how far it exceeds the estimates.
type found struct {
	shape
	time, memory float64
	cost         compileCost
}

// kinds returns the kinds of parts of a candidate. Kept candidates differ in them.
func (f found) kinds() string {
	seen := make(map[string]bool)
	var walk func(parts []part)
	walk = func(parts []part) {
		for _, p := range parts {
			seen[p.Kind] = true
			walk(p.Inside)
		}
	}
	walk(f.Parts)
	for name, n := range map[string]int{"globals": f.Globals, "types": f.Types, "empty": f.Empty, "params": f.Params} {
		if n > 16 {
			seen[name] = true
		}
	}
	all := make([]string, 0, len(seen))
	for k := range seen {
		all = append(all, k)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// fit chooses how many functions there are, and reports whether the limits let
// the module through.
func (s *shape) fit() (*preflight.Module, []byte, bool) {
	outline := func() (*preflight.Module, []byte, error) {
		wasm := s.module()
		m, err := preflight.Parse(wasm, preflight.Limits{})
		return m, wasm, err
	}
	empty := s.Empty
	s.Functions, s.Empty = 1, min(empty, mostFunctions-1)
	m, wasm, err := outline()
	if err != nil {
		return nil, nil, false
	}
	one, left := max(m.CompileCost, 1), int64(searchWork)
	if s.Empty > 0 {
		s.Empty = 0
		alone, _, err := outline()
		if err != nil {
			return nil, nil, false
		}
		one, s.Empty = max(alone.CompileCost, 1), min(empty, mostFunctions-1)
		left -= m.CompileCost - alone.CompileCost
	}
	body := len(s.body()) + 4
	s.Functions = int(min(max(left/one, 1), int64(mostFunctions-s.Empty), int64(8<<20/body)))
	s.Functions = max(s.Functions, 1)
	if s.Functions > 1 {
		if m, wasm, err = outline(); err != nil {
			return nil, nil, false
		}
	}
	return m, wasm, true
}

// try measures a candidate.
func (s shape) try(dir string) (found, bool) {
	m, wasm, ok := s.fit()
	if !ok {
		return found{}, false
	}
	f, cost := found{shape: s, cost: measureCompile(wasm, dir)}, plugin.MeteredCost(wasm)
	if strings.Contains(f.cost.Refused, "types: must be at most 1024") {
		f.cost, cost = measureCompile(wasm, dir, compileTrustedVariable+"=1"), m.CompileCost
	}
	if f.cost.Refused != "" {
		return f, false
	}
	f.time = f.cost.Seconds / (float64(max(cost, searchWork/8)) / unitsPerSecond)
	f.memory = float64(f.cost.Memory) / float64(m.CompileMemory+boundCompile)
	if f.cost.Died != "" {
		f.time, f.memory = 1000, 1000
	}
	return f, true
}

// TestSearchCompileCosts searches for modules that take more to compile than the
// estimate. For as long as WADDLE_SEARCH says it changes those that took most, and
// measures each candidate in a process of its own. It fails if one is above the bound,
// and logs the worst.
func TestSearchCompileCosts(t *testing.T) {
	text := os.Getenv(searchVariable)
	if text == "" {
		t.Skip("takes as long as it is let; " + searchVariable + "=1h, and -timeout accordingly")
	}
	long, err := time.ParseDuration(text)
	require.NoError(t, err)
	seed, _ := strconv.ParseUint(os.Getenv(searchSeedVariable), 10, 64)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	const kept = 24
	best := map[bool][]found{} // by time, and by memory
	keep := func(byMemory bool, f found) bool {
		score := func(f found) float64 {
			if byMemory {
				return f.memory
			}
			return f.time
		}
		all := best[byMemory]
		for i, other := range all {
			if other.kinds() == f.kinds() {
				if score(f) <= score(other) {
					return false
				}
				all = slices.Delete(all, i, i+1)
				break
			}
		}
		all = append(all, f)
		slices.SortFunc(all, func(a, b found) int { return cmp.Compare(score(b), score(a)) })
		best[byMemory] = all[:min(len(all), kept)]
		return len(all) <= kept || score(f) > score(all[kept])
	}
	say := func(f found, what string) {
		text, _ := json.Marshal(f.shape)
		t.Logf("%s: time %.2f, memory %.2f of what is estimated: %.2f s, %d MiB %s: %s",
			what, f.time, f.memory, f.cost.Seconds, f.cost.Memory>>20, f.cost.Died, text)
	}
	for _, s := range costly {
		if f, ok := s.shape.try(dir); ok {
			keep(false, f)
			keep(true, f)
		}
	}
	tried := 0
	for start := time.Now(); time.Since(start) < long; tried++ {
		byMemory := r.IntN(3) == 0
		var s shape
		if all := best[byMemory]; len(all) > 0 && r.IntN(8) > 0 {
			s = all[r.IntN(1+r.IntN(len(all)))].shape.mutate(r)
		} else {
			s = shape{Params: r.IntN(3), Locals: r.IntN(1 << r.IntN(8)), Parts: []part{randomPart(r), randomPart(r)}}.mutate(r)
		}
		f, ok := s.try(dir)
		if !ok {
			continue
		}
		top := found{}
		if all := best[false]; len(all) > 0 {
			top = all[0]
		}
		if keep(false, f) && f.time > top.time {
			say(f, "slowest")
		}
		if len(best[true]) > 0 {
			top = best[true][0]
		}
		if keep(true, f) && f.memory > top.memory {
			say(f, "largest")
		}
	}
	t.Logf("%d were tried", tried)
	for _, byMemory := range []bool{false, true} {
		for _, f := range best[byMemory][:min(8, len(best[byMemory]))] {
			say(f, map[bool]string{false: "time", true: "memory"}[byMemory])
			require.Less(t, f.time, mostTimeRatio)
			require.Less(t, f.memory, 1.0)
		}
	}
}
