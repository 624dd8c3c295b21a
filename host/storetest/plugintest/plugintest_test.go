package plugintest_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// TestBundledEngines runs the suite on the engines that come with the host. For
// those that keep files, every record goes to the disk, and each instance takes half
// a second to open. Their own tests run the whole suite natively; here they are
// checked for what a module may do wrong. WADDLE_CONFORMANCE=full asks for everything.
func TestBundledEngines(t *testing.T) {
	t.Parallel()
	brief := []string{"module/opens", "instance/recycled", "instance/stats", "get/what-was-set", "set/sizes", "expiry/exact-millisecond",
		"expiry/each-its-own", "expect/replace-chain", "restore/into-another", "reopen/changes-after-reopening", "concurrent", "random", "soak"}
	files := append([]string{"module", "instance", "export", "shard", "get", "set/sizes", "delete", "save"}, brief...)
	for _, c := range []struct {
		name   string
		module func() ([]byte, error)
		only   []string
	}{
		{"memory", memory.Module, nil},
		{"keyfolder", keyfolder.Module, files},
		{"dynfile", dynfile.Module, files},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var o storetest.Options
			switch {
			case os.Getenv("WADDLE_CONFORMANCE") == "full":
			case testing.Short() || raceEnabled:
				o = storetest.Options{Soak: 2000, Sequences: 10, Only: brief}
			case c.only != nil:
				o = storetest.Options{Soak: 2000, Sequences: 10, Only: c.only}
			}
			wasm, err := c.module()
			require.NoError(t, err)
			plugintest.RunModule(t, wasm, plugintest.Options{Options: o, Config: plugin.Config{Trusted: true}})
		})
	}
}

// fixture is a guest of package plugin's tests.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("..", "..", "plugin", "testdata", name+".wasm"))
	require.NoError(t, err)
	return wasm
}

// TestRefusedModules: a module that the host refuses fails the one check that is
// about the reason, and the rest is skipped.
func TestRefusedModules(t *testing.T) {
	for _, c := range []struct{ name, check, says string }{
		{"marker_missing", "module/marker", "session_abi_v1"},
		{"marker_version", "module/marker", "session_abi_v7"},
		{"export_missing", "module/exports", "does not export"},
		{"memory_missing", "module/exports", "memory"},
		{"export_signature", "module/signatures", "must be a function"},
		{"optional_signature", "module/signatures", "must be a function"},
		{"import_module", "module/imports", "import"},
		{"import_signature", "module/imports", "function"},
		{"start", "module/valid", "start"},
		{"memory_huge", "module/valid", "memory"},
		{"describe_small", "module/describes", "max_"},
		{"describe_unpaired", "module/describes", "pair"},
		{"describe_remote", "module/describes", "remote and not cas"},
		{"open_refuses", "module/opens", ""},
		{"init_trap", "module/opens", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := plugintest.Check(context.Background(), fixture(t, c.name), plugintest.Options{})
			result := report.Result(c.check)
			require.NotNil(t, result)
			require.Equal(t, storetest.Fail, result.Status)
			require.Contains(t, result.Failure.Found, c.says)
			for _, r := range report.Results {
				if r.Status == storetest.Fail {
					require.Contains(t, []string{c.check, "module/opens"}, r.Name, "%v", r.Failure)
				} else if r.Status == storetest.Pass {
					require.Regexp(t, "^module/", r.Name)
				}
			}
		})
	}
}

// TestWhatIsNoModule: such a file is refused in one line, and an empty module in
// few.
func TestWhatIsNoModule(t *testing.T) {
	text := func(wasm []byte) (*storetest.Report, string) {
		report := plugintest.Check(context.Background(), wasm, plugintest.Options{})
		require.Positive(t, report.Failed)
		var b bytes.Buffer
		require.NoError(t, report.WriteText(&b))
		require.Contains(t, b.String(), "FAIL")
		return report, b.String()
	}
	for _, wasm := range [][]byte{nil, []byte("hello")} {
		report, says := text(wasm)
		require.Contains(t, report.Misuse, "not a WebAssembly module")
		require.Len(t, report.Results, 1)
		require.Equal(t, 2, strings.Count(says, "\n"), says)
	}
	report, says := text([]byte("\x00asm\x01\x00\x00\x00"))
	require.Empty(t, report.Misuse)
	require.Equal(t, storetest.Fail, report.Result("module/marker").Status)
	require.Less(t, strings.Count(says, "\n"), 45, says)
}

// TestMisuse: wrong options are not reported as a fault of the guest.
func TestMisuse(t *testing.T) {
	wasm, err := memory.Module()
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		options plugintest.Options
		says    string
	}{
		{"misspelt setting", plugintest.Options{Settings: map[string]string{"max_entires": "7"}}, `guest refuses the settings that it was given (max_entires)`},
		{"bad value", plugintest.Options{Settings: map[string]string{"max_entries": "many"}}, `max_entries`},
		{"setting of the host", plugintest.Options{Settings: map[string]string{"shards": "7"}}, `the setting "shards" is set by the host`},
		{"no name of a setting", plugintest.Options{Config: plugin.Config{GuestConfig: map[string]string{"Max": "7"}}}, `the setting "Max": its name must consist of`},
		{"shards", plugintest.Options{Config: plugin.Config{Shards: 3}}, `power of two`},
		{"misspelt check", plugintest.Options{Options: storetest.Options{Only: []string{"expriy"}}}, `expiry was meant`},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := plugintest.Check(context.Background(), wasm, c.options)
			require.Contains(t, report.Misuse, c.says)
			require.Equal(t, 1, report.Failed)
			require.Len(t, report.Results, 1)
		})
	}
	// A guest that refuses whatever it is given is itself to blame.
	report := plugintest.Check(context.Background(), fixture(t, "open_refuses"), plugintest.Options{Settings: map[string]string{"name": "1"}})
	require.Empty(t, report.Misuse)
	require.Equal(t, storetest.Fail, report.Result("module/opens").Status)
}

// TestSmallGuests: for a guest with few exports, the checks of what it lacks are
// skipped with a reason, and its own limits are found.
func TestSmallGuests(t *testing.T) {
	report := plugintest.Check(context.Background(), fixture(t, "store"), plugintest.Options{
		Options: storetest.Options{Skip: []string{"key/many", "growth", "memory"}, Soak: 2000, Sequences: 20, Dir: t.TempDir()}})
	for _, name := range []string{"export/limits-of-its-own", "export/delete-of-nothing", "expect/every-byte", "limits/largest-value"} {
		require.Equal(t, storetest.Pass, report.Result(name).Status, "%v", report.Result(name).Failure)
	}
	require.Equal(t, "the store is not said to be durable", report.Result("reopen/after-save").Reason)
	require.Equal(t, "left out by request", report.Result("memory/get").Reason)
	require.Equal(t, "tiny store", report.Target)

	report = plugintest.Check(context.Background(), fixture(t, "tiny"), plugintest.Options{
		Options: storetest.Options{Only: []string{"sweep", "keys", "get", "export"}, Dir: t.TempDir()}})
	require.Equal(t, "the store does not sweep", report.Result("sweep/counts").Reason)
	require.Equal(t, "the store does not enumerate keys", report.Result("keys/all").Reason)
	require.Equal(t, storetest.Pass, report.Result("get/what-was-set").Status)
	require.Nil(t, report.Result("set/sizes"))
}

// TestSettingsAndMounts: both reach the guest, and a mount is emptied.
func TestSettingsAndMounts(t *testing.T) {
	cache := t.TempDir()
	require.NoError(t, os.Chmod(cache, 0o700))
	check := func(wasm []byte, o plugintest.Options) *storetest.Report {
		o.Only, o.Config.CacheDir = []string{"module/opens", "reopen/one-record"}, cache
		return plugintest.Check(context.Background(), wasm, o)
	}
	wasm, err := memory.Module()
	require.NoError(t, err)
	report := check(wasm, plugintest.Options{Settings: map[string]string{"no_such": "1"}})
	require.Contains(t, report.Misuse, "no_such")
	report = check(wasm, plugintest.Options{Settings: map[string]string{"max_entries": "1000"}})
	require.Equal(t, 1, report.Passed)
	require.Equal(t, storetest.Skip, report.Result("reopen/one-record").Status)

	// A guest that is given a mount, but keeps nothing there.
	report = check(wasm, plugintest.Options{Config: plugin.Config{Mounts: []plugin.Mount{{}}}})
	require.Equal(t, storetest.Fail, report.Result("reopen/one-record").Status)

	wasm, err = os.ReadFile(filepath.Join("testdata", "mutants", "wasm", "file_base.wasm"))
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "made", "for", "it")
	report = check(wasm, plugintest.Options{Mount: dir})
	require.Equal(t, 2, report.Passed, "%v", report.Results)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
