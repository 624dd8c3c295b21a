package plugintest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// mutantsOfRemote are guests whose records lie elsewhere, with faults that
// host/plugin/testdata/remoteguest/faults.go explains. All of them are without fault as
// long as there is one instance: no check outside of the group remote finds anything.
var mutantsOfRemote = []mutant{
	{"caches_values", "remote/values remote/expiry remote/revisions", `found: session_get of "key 0 1" in instance 1, after a second session_set in instance 0: 40 bytes that differ`},
	{"caches_absence", "remote/values", `found: session_get of "key 0 1" in instance 1, after session_set in instance 0: store: no such record…expected: the value`},
	{"deletes_here", "remote/values remote/revisions", `after session_delete in instance 1: a value…expected: NOT_FOUND`},
	{"touches_here", "remote/expiry", `in instance 0, after session_touch with a later expiry…expected: the value`},
	{"compares_here", "remote/revisions", `found: session_set of "key 0" in instance 1, expect …expected: `},
	{"compares_apart", "remote/one-step", `found: …expected: `},
	{"writes_in_parts", "remote/whole-values", `found: session_get in instance …while instance 0 writes: …expected: a value`},
	{"clear_own", "remote/clear", `after session_clear in instance 0: a value…expected: NOT_FOUND`},
	{"sweep_own", "remote/sweep", `found: session_sweep in instance 0 removed 2 records…expected: 8`},
	{"keys_own", "remote/keys", `found: session_keys in instance 0 leaves out "key 1", and gives 2 of 8`},
	{"snapshot_own", "remote/snapshot", `found: session_snapshot in instance 0 leaves out "key 1", and gives 2 of 8`},
	{"stats_own", "remote/stats", `found: session_stats in instance 0: records is …expected: 3`},
	{"save_first", "remote/save", `after session_save in every instance, beginning with 0, and the end of the host, session_get of "key 0 1", which instance 1 had stored: 0 bytes…expected: the value`},
}

// oneInstance are a few checks of a guest with one instance that a fault of these could
// concern.
var oneInstance = []string{"get/again", "delete/then-set", "expect/replace-chain", "touch/extends", "keys/all", "reopen/one-record", "instance/stats"}

// remoteModule builds the guest, once for all tests.
func remoteModule(t *testing.T) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a guest")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to build the guest with")
	}
	file := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command(tool, "build", "-buildmode=c-shared", "-trimpath", "-o", file, ".")
	build.Dir = filepath.Join("..", "..", "plugin", "testdata", "remoteguest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	wasm, err := os.ReadFile(file)
	require.NoError(t, err)
	return wasm
}

// TestRemote: a guest whose records lie elsewhere passes. Each of those that have something
// in the instance is failed by checks of the group remote, and by none that has one
// instance.
func TestRemote(t *testing.T) {
	wasm := remoteModule(t)
	cache := t.TempDir()
	require.NoError(t, os.Chmod(cache, 0o700))
	check := func(t *testing.T, only []string, settings map[string]string) *storetest.Report {
		o := plugintest.Options{Settings: settings, Config: plugin.Config{Trusted: true, CacheDir: cache}}
		o.Dir, o.Seed, o.Soak, o.Sequences, o.Only = t.TempDir(), 1, 2000, 10, only
		return plugintest.Check(t.Context(), wasm, o)
	}
	t.Run("without fault", func(t *testing.T) {
		report := check(t, append([]string{"remote", "module/opens", "life/two-stores", "concurrent/one-creates"}, oneInstance...), nil)
		passes(t, report, 0)
		for _, r := range report.Results {
			if strings.HasPrefix(r.Name, "remote/") {
				require.Equal(t, storetest.Pass, r.Status, "%s: %s", r.Name, r.Reason)
			}
		}
	})
	t.Run("without touch", func(t *testing.T) {
		report := check(t, []string{"remote"}, map[string]string{"touch": "false"})
		passes(t, report, 0)
		require.Equal(t, "the guest does not have session_touch", report.Result("remote/expiry").Reason)
	})
	t.Run("saves its own", func(t *testing.T) {
		report := check(t, []string{"remote"}, map[string]string{"fault": "save_own"})
		passes(t, report, 0)
		require.Equal(t, storetest.Pass, report.Result("remote/save").Status)
	})
	for _, m := range mutantsOfRemote {
		t.Run(m.name, func(t *testing.T) {
			report := check(t, append(strings.Fields(m.checks), oneInstance...), map[string]string{"fault": m.name})
			var failed []string
			for _, r := range report.Results {
				if r.Status == storetest.Fail {
					failed = append(failed, r.Name)
					require.True(t, strings.HasPrefix(r.Name, "remote/"), "%s fails as well: %v", r.Name, r.Failure)
				}
			}
			require.ElementsMatch(t, strings.Fields(m.checks), failed)
			requireSays(t, report.Result(strings.Fields(m.checks)[0]).Failure, m.says)
		})
	}
}

// TestRemoteFaultsAreListed: every fault that the guest has is in the table.
func TestRemoteFaultsAreListed(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "..", "plugin", "testdata", "remoteguest", "faults.go"))
	require.NoError(t, err)
	var listed, tested []string
	for line := range strings.Lines(string(source)) {
		if rest, ok := strings.CutPrefix(line, "//\t"); ok {
			listed = append(listed, strings.Fields(rest)[0])
		}
	}
	for _, m := range mutantsOfRemote {
		tested = append(tested, m.name)
	}
	require.ElementsMatch(t, listed, tested)
}
