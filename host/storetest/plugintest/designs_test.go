package plugintest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// designs are guests that follow the specification in their own way, which
// testdata/mutants/designs.h explains: the suite must find nothing.
var designs = []struct {
	name string
	// checks are the checks that concern such a guest most, separated by spaces.
	checks string
	// held is how many records it holds, 0 if it holds whatever it is given.
	held int
}{
	{"removes_on_read", "expiry touch restore snapshot sweep instance", 0},
	{"file_removes_on_read", "expiry touch reopen restore", 0},
	{"purges_always", "expiry save sweep random restore", 0},
	{"file_purges_always", "expiry save reopen random", 0},
	{"evicts_at_200", "key/many keys restore instance growth random soak", 200},
	{"evicts_half", "key/one-byte keys restore shard growth", 100},
	{"evicts_at_16", "key/many keys sweep restore module shard instance growth random soak", 16},
	{"refuses_at_200", "key/many keys restore export instance growth random soak", 200},
	{"file_refuses_at_40", "key/one-bit keys module reopen growth", 40},
	{"divides_24", "module shard instance growth keys restore export", 24},
	{"tiny", "set limits key/long restore reopen growth export", 0},
	{"odd_limits", "set limits key/long instance/stats export", 0},
	{"slow", "restore", 0},
	{"file_slow", "save", 0},
	{"bare", "module touch limits key/lengths random instance", 0},
	{"no_touch", "module touch limits expiry random", 0},
	{"no_cas", "expect concurrent expiry", 0},
	{"unsupported", "module touch keys snapshot restore sweep instance shard export memory/expire-and-sweep memory/keys", 0},
	{"file_unsupported", "module keys restore sweep shard reopen", 0},
	{"ascending", "get set keys snapshot limits memory/get", 0},
	{"overlapping", "get set keys snapshot expect", 0},
	{"last_used_first", "keys snapshot concurrent random restore", 0},
	{"random_order", "keys snapshot concurrent random restore", 0},
	{"names_twice", "keys snapshot shard concurrent random", 0},
	{"grows_slowly", "memory/get memory/set-same-size memory/touch", 0},
	{"sweeps_singly", "sweep export instance/stats memory/expire-and-sweep memory/expire-and-save", 0},
	{"flushes_at_once", "export", 0},
	{"logs_every_call", "instance", 0},
}

// TestDesigns: the suite does not fail what the specification allows. Each guest is
// checked by the whole suite, with WADDLE_CONFORMANCE=full with all operations, and
// in short mode by the checks that concern it most.
func TestDesigns(t *testing.T) {
	for _, d := range designs {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			o := storetest.Options{Dir: t.TempDir(), Seed: 1, Soak: 2000, Sequences: 20}
			switch {
			case os.Getenv("WADDLE_CONFORMANCE") == "full":
			case testing.Short() || raceEnabled || strings.Contains(d.name, "slow") && d.name != "grows_slowly":
				o.Only = strings.Fields(d.checks)
			default:
				o.Skip = []string{"memory", "soak"}
			}
			passes(t, check(t, d.name, o), d.held)
		})
	}
}

// passes requires that no check fails, and that those that would like much ask only
// for what is held.
func passes(t *testing.T, report *storetest.Report, held int) {
	t.Helper()
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Zero(t, report.Failed, text.String())
	require.Positive(t, report.Passed, text.String())
	if held == 0 {
		require.Zero(t, report.Records, text.String())
	} else {
		require.Positive(t, report.Records, text.String())
		require.LessOrEqual(t, report.Records, held, text.String())
	}
}

// TestDesignsAreListed: every design is built and in the table.
func TestDesignsAreListed(t *testing.T) {
	var tested []string
	for _, d := range designs {
		tested = append(tested, d.name)
	}
	require.ElementsMatch(t, listed(t, "designs.h", "enum design {"), tested, "designs.h and the table in this file")
}

// listed returns the names in an enum of C, each with a comment.
func listed(t *testing.T, file, begin string) (names []string) {
	t.Helper()
	source, err := os.ReadFile("testdata/mutants/" + file)
	require.NoError(t, err)
	_, list, found := strings.Cut(string(source), begin)
	require.True(t, found)
	for _, line := range regexp.MustCompile(`(?m)^\t(\w+), *// (.+)$`).FindAllStringSubmatch(list, -1) {
		names = append(names, line[1])
	}
	return names
}

// TestBundledEngineThatEvicts: an engine passes with a setting that users give it,
// although the suite is not told of it.
func TestBundledEngineThatEvicts(t *testing.T) {
	wasm, err := memory.Module()
	require.NoError(t, err)
	o := plugintest.Options{Settings: map[string]string{"max_entries": "1000"}}
	o.Dir, o.Soak, o.Sequences = t.TempDir(), 2000, 20
	if testing.Short() || raceEnabled {
		o.Only = []string{"key/many", "keys/many", "keys/changes-meanwhile", "restore/many"}
	}
	passes(t, plugintest.Check(t.Context(), wasm, o), 1000)
}

// TestBoundsAreNamed: a guest may need more than the bounds of a call, which are not part
// of the specification, and a failure says how to raise it.
func TestBoundsAreNamed(t *testing.T) {
	wasm, err := os.ReadFile("testdata/mutants/wasm/slow.wasm")
	require.NoError(t, err)
	o := plugintest.Options{Config: plugin.Config{Deadline: 50 * time.Millisecond, OpenDeadline: time.Minute}}
	o.Dir, o.Only = t.TempDir(), []string{"restore/into-itself"}
	failure := plugintest.Check(t.Context(), wasm, o).Result("restore/into-itself").Failure
	require.NotNil(t, failure)
	require.Contains(t, failure.Found, "A call of the guest may take 50ms: Config.Deadline, waddle test --deadline")

	o.Config = plugin.Config{Fuel: 10_000}
	failure = plugintest.Check(t.Context(), wasm, o).Result("restore/into-itself").Failure
	require.NotNil(t, failure)
	require.Contains(t, failure.Found, "A call of the guest may use 10000 units of fuel: Config.Fuel, waddle test --fuel")
}
