package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// faulty holds small guests: base, which is correct, and others with one fault
// each.
const faulty = "../../storetest/plugintest/testdata/mutants/wasm"

func faultyGuest(name string) string { return filepath.Join(faulty, name+".wasm") }

// inTemp gives a program a temporary directory of its own and returns it.
func inTemp(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	dir := t.TempDir()
	cmd.Env = append(cmd.Env, "TMPDIR="+dir, "TMP="+dir, "TEMP="+dir)
	return dir
}

func report(t *testing.T, text string) storetest.Report {
	t.Helper()
	object(t, text)
	var r storetest.Report
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	return r
}

func TestTestPasses(t *testing.T) {
	cmd := command(t, nil, "test", faultyGuest("base"), "--soak", "2000", "--sequences", "10", "--json")
	temp := inTemp(t, cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, stderr.String())
	require.Empty(t, stderr.String(), "there is no line of progress where nobody reads it")
	r := report(t, string(out))
	require.Equal(t, "base.wasm", r.Target)
	require.Zero(t, r.Failed)
	require.Greater(t, r.Passed, 100)
	require.NotNil(t, r.Result("module/exports"))
	require.Equal(t, "open", r.Fuel[0].Operation)
	require.Positive(t, r.Fuel[0].Median)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTestFails(t *testing.T) {
	r := run(t, nil, "test", faultyGuest("clear_ignored"), "--only", "clear", "--seed", "42")
	require.Equal(t, 1, r.code, r.stderr)
	for _, says := range []string{"seed 42", "fail  clear/", "SPEC.md, 7. Required exports", "called", "expected:", "FAIL: "} {
		require.Contains(t, r.stdout, says)
	}
	require.Regexp(t, `^waddle: clear_ignored\.wasm failed \d+ of \d+ checks\n$`, r.stderr)

	again := run(t, nil, "test", faultyGuest("clear_ignored"), "--only", "clear", "--seed", "42", "--json")
	require.Equal(t, 1, again.code)
	found := report(t, again.stdout)
	require.Equal(t, uint64(42), found.Seed)
	for _, one := range found.Results {
		require.True(t, strings.HasPrefix(one.Name, "clear/"), one.Name)
	}
	require.Equal(t, strings.Count(r.stdout, "fail  "), found.Failed)
}

func TestTestChoosesChecks(t *testing.T) {
	r := run(t, nil, "test", faultyGuest("base"), "--json", "--only", "get,delete/*", "--skip", "get/again")
	require.Equal(t, 0, r.code, r.stderr)
	found := report(t, r.stdout)
	require.Equal(t, 1, found.Skipped)
	require.Equal(t, storetest.Skip, found.Result("get/again").Status)
	require.Nil(t, found.Result("set/overwrite-often"))
	require.NotNil(t, found.Result("delete/absent"))
}

// A guest's log and the stack of its trap are shown on request.
func TestTestShowsStacks(t *testing.T) {
	r := run(t, nil, "test", hostileGuest("named"), "--only", "get/again")
	require.Equal(t, 1, r.code)
	require.Equal(t, "waddle: named.wasm failed 1 of 1 checks\n", r.stderr)
	r = run(t, nil, "test", hostileGuest("named"), "--only", "get/again", "--verbose")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "it is named so")
	require.Contains(t, r.stderr, "  trace:\n    sample.inner(i64) i64\n    sample.outer(i64) i64\n")
	require.Equal(t, 1, strings.Count(r.stderr, "sample.outer"), r.stderr)
}

func TestTestRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("text"), 0o600))
	base := faultyGuest("base")
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"text", []string{file}, 1, `is not a module: plugin: not a Waddle plugin: not a WebAssembly module: it begins with "text"`},
		{"refused", []string{hostileGuest("start")}, 1, "failed"},
		{"endless", []string{hostileGuest("open_loop"), "--only", "get", "--deadline", "100ms"}, 1, "failed"},
		{"trusted, with a deadline", []string{base, "--only", "get", "--trusted", "--deadline", "100ms"}, 2, "--trusted runs the module unmetered, and --deadline is a bound: leave one of the two out"},
		{"too little fuel", []string{base, "--only", "get", "--fuel", "10"}, 1, "failed"},
		{"fuel", []string{base, "--fuel", "0"}, 2, `--fuel is "0": must be at least 1 unit of fuel`},
		{"fuel per second", []string{base, "--fuel-rate", "all"}, 2, `--fuel-rate is "all": must be at least 1 unit of fuel`},
		{"unknown check", []string{base, "--only", "reopne"}, 2, `the pattern "reopne" matches no check; perhaps reopen was meant`},
		{"unknown group", []string{base, "--skip", "whatever/else"}, 2, "use the groups"},
		{"bad pattern", []string{base, "--only", "[get"}, 2, "not well formed"},
		{"unknown setting", []string{"memory", "--only", "get", "-c", "max_entires=7"}, 2, "refuses the settings that it was given (max_entires)"},
		{"setting of the host", []string{"memory", "--only", "get", "-c", "shards=7"}, 2, `"shards" is set by the host`},
		{"records", []string{base, "--records", "3"}, 2, "--records is 3: must be at least 16"},
		{"bytes", []string{base, "--bytes", "-1"}, 2, "--bytes is -1: must be at least 32768"},
		{"no file", []string{"nothing.wasm"}, 2, `no file "nothing.wasm"`},
		{"no module", nil, 2, "test needs a module"},
		{"seed", []string{base, "--seed", "-1"}, 2, `--seed is "-1": must be a whole number that is not negative`},
		{"soak", []string{base, "--soak", "0"}, 2, "--skip soak"},
		{"sequences", []string{base, "--sequences", "0"}, 2, "--sequences is 0"},
		{"shards", []string{base, "--shards", "3"}, 2, "power of two"},
		{"deadline", []string{base, "--deadline", "0"}, 2, "--deadline is 0s"},
		{"deadline without unit", []string{base, "--deadline", "5"}, 2, "a duration such as 500ms"},
		{"mount that is not there", []string{base, "--mount", file + "s"}, 2, "an existing directory"},
		{"mount that is a file", []string{base, "--mount", file}, 2, "a file: must be a directory"},
		{"unknown flag", []string{base, "--onyl", "get"}, 2, "test has no flag --onyl; its flags are --bytes, --config,"},
		{"one dash", []string{base, "-only", "get"}, 2, "two dashes: --only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, nil, append([]string{"test"}, c.args...)...)
			require.Equal(t, c.code, r.code, "%s%s", r.stdout, r.stderr)
			require.Contains(t, lastLine(r), c.says)
			require.True(t, strings.HasPrefix(lastLine(r), "waddle: "), r.stderr)
			require.Equal(t, c.code == 2 || c.name == "text", r.stdout == "", r.stdout)
			require.NotContains(t, r.stderr, "goroutine")
		})
	}
}

// Two programs may make their directories in the same one, and leave it as it was.
func TestTestMount(t *testing.T) {
	dir := t.TempDir()
	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(dir, long, long))
	args := []string{"test", faultyGuest("file_base"), "--mount", dir, "--only", "get,expect", "--json"}
	first, second := command(t, nil, args...), command(t, nil, args...)
	var out1, out2 bytes.Buffer
	first.Stdout, second.Stdout = &out1, &out2
	require.NoError(t, first.Start())
	require.NoError(t, second.Start())
	require.NoError(t, first.Wait(), "%s", &out1)
	require.NoError(t, second.Wait(), "%s", &out2)
	require.Positive(t, report(t, out1.String()).Passed)
	require.Positive(t, report(t, out2.String()).Passed)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Greater(t, info.ModTime(), long.Add(time.Minute), "the directories were made here")
}

// After an interrupt the suite reports what is known and leaves nothing behind.
func TestTestInterrupted(t *testing.T) {
	needsSignals(t)
	cmd := command(t, nil, "test", faultyGuest("base"), "--only", "get,soak", "--soak", "1000000000", "--json")
	temp := inTemp(t, cmd)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		entries, err := os.ReadDir(temp)
		return err == nil && len(entries) > 0
	}, patience, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", &stderr)
	require.Equal(t, "waddle: interrupted\n", stderr.String())
	found := report(t, stdout.String())
	require.Zero(t, found.Failed, "that it was ended is no failure: %s", &stdout)
	require.Positive(t, found.Skipped)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// When nobody reads a program's output, it ends silently and leaves nothing behind.
func TestClosedOutput(t *testing.T) {
	for _, args := range [][]string{
		{"inspect", "memory"},
		{"inspect", hostileGuest("store"), "--describe", "--json"},
		{"test", faultyGuest("base"), "--only", "get"},
		{"bench", faultyGuest("base"), "--against", "none", "--operations", "get", "--value-size", "8", "--concurrency", "1", "--duration", "5ms"},
	} {
		t.Run(args[0], func(t *testing.T) {
			needsSignals(t)
			cmd := command(t, nil, args...)
			temp := inTemp(t, cmd)
			read, write, err := os.Pipe()
			require.NoError(t, err)
			require.NoError(t, read.Close())
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = write, &stderr
			require.Error(t, cmd.Run())
			require.NoError(t, write.Close())
			require.Equal(t, 1, cmd.ProcessState.ExitCode())
			require.Empty(t, stderr.String())
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestTestExampleOfHelp: people first try the help's first example with a setting,
// so it must pass.
func TestTestExampleOfHelp(t *testing.T) {
	help := run(t, nil, "help", "test")
	require.Contains(t, help.stdout, "waddle test my-engine.wasm --config max_records=1000 -v")
	only := "key/many,keys,restore,growth/many-records"
	r := run(t, nil, "test", "../../../examples/guests/c/store.wasm", "--config", "max_records=1000", "-v", "--only", only)
	require.Equal(t, 0, r.code, "%s%s", r.stdout, r.stderr)
	require.Contains(t, r.stdout, "records at once, since the store did not hold more")
	require.Contains(t, r.stdout, " 0 failed")

	// A flag can give what the suite would find, even a smaller number.
	r = run(t, nil, "test", "memory", "--config", "max_entries=1000", "--records", "900", "--only", only, "--json")
	require.Equal(t, 0, r.code, "%s%s", r.stdout, r.stderr)
	require.Equal(t, 900, report(t, r.stdout).Records)
	// With a number above what the module holds, the suite fails and says what to do.
	r = run(t, nil, "test", "memory", "--config", "max_entries=1000", "--records", "2000", "--only", "keys/many")
	require.Equal(t, 1, r.code, "%s%s", r.stdout, r.stderr)
	require.Contains(t, r.stdout, "waddle test --records and --bytes")
}
