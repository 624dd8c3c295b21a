package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/loadtest"
)

func measured(t *testing.T, text string) loadtest.Report {
	t.Helper()
	object(t, text)
	var r loadtest.Report
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	return r
}

func TestBench(t *testing.T) {
	r := run(t, nil, "bench", faultyGuest("base"), "--json", "--shards", "1,2", "--concurrency", "1,3", "--value-size", "8,1KiB",
		"--duration", "10ms", "--rounds", "2")
	require.Equal(t, 0, r.code, r.stderr)
	require.Empty(t, r.stderr)
	found := measured(t, r.stdout)
	require.Equal(t, "base.wasm", found.Module)
	require.Equal(t, "memory", found.Against)
	require.Len(t, found.Figures, 4*2*2*2)
	for _, f := range found.Figures {
		require.Empty(t, f.Skipped)
		require.Len(t, f.Results, 2)
		require.NotNil(t, f.Ratio)
		for _, result := range f.Results {
			require.Equal(t, f.Shards, result.Shards)
			require.Positive(t, result.OpsPerSecond)
			require.Zero(t, result.Errors, result.Error)
			require.NotNil(t, result.Fuel)
			require.Positive(t, result.Fuel.Median)
			require.GreaterOrEqual(t, result.Fuel.Most, result.Fuel.Median)
		}
	}
}

// A trusted module runs unmetered, and its fuel is told all the same: the same as that
// of one that is not.
func TestBenchTellsTheFuel(t *testing.T) {
	args := []string{"bench", faultyGuest("base"), "--json", "--against", "memory", "--value-size", "300", "--shards", "1",
		"--operations", "get,mix", "--concurrency", "1", "--duration", "10ms", "--rounds", "1"}
	var fuel []loadtest.Fuel
	for _, more := range [][]string{nil, {"--trusted"}} {
		r := run(t, nil, append(args, more...)...)
		require.Equal(t, 0, r.code, r.stderr)
		for _, f := range measured(t, r.stdout).Figures {
			require.NotNil(t, f.Results[0].Fuel)
			require.NotNil(t, f.Results[1].Fuel, "the bundled engine")
			fuel = append(fuel, *f.Results[0].Fuel)
		}
	}
	require.Equal(t, fuel[0], fuel[2])
	require.Greater(t, fuel[1].Most, fuel[0].Most, "a pair of read and write")
}

func TestBenchText(t *testing.T) {
	r := run(t, nil, "bench", faultyGuest("base"), "--against", "none", "--value-size", "300", "--operations", "get,get+set",
		"--concurrency", "2", "--duration", "10ms")
	require.Equal(t, 0, r.code, r.stderr)
	require.Empty(t, r.stderr)
	require.Contains(t, r.stdout, "base.wasm, on ")
	require.Regexp(t, `(?m)^ +get  300 B +\d+ +2  base\.wasm`, r.stdout)
	require.Contains(t, r.stdout, "get+set")
	require.NotContains(t, r.stdout, "ratio is")
}

// Both engines that keep files get directories within the given one, and nothing
// remains there.
func TestBenchMount(t *testing.T) {
	dir := t.TempDir()
	long := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(dir, long, long))
	r := run(t, nil, "bench", faultyGuest("file_base"), "--against", "dynfile", "--mount", dir, "--operations", "get", "--value-size", "64",
		"--concurrency", "1", "--duration", "10ms", "--rounds", "1", "--json", "--shards", "2")
	require.Equal(t, 0, r.code, "%s%s", r.stdout, r.stderr)
	require.Len(t, measured(t, r.stdout).Figures[0].Results, 2)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Greater(t, info.ModTime(), long.Add(time.Minute))
}

func TestBenchRefuses(t *testing.T) {
	base := faultyGuest("base")
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"refused", []string{hostileGuest("start")}, 1, "start section"},
		{"traps", []string{hostileGuest("named")}, 1, "in a short trial operations failed"},
		{"never opens", []string{hostileGuest("open_loop"), "--deadline", "500ms"}, 1, "exceeded its deadline"},
		{"unknown setting", []string{"memory", "-c", "max_entires=7"}, 1, "max_entires"},
		{"no file", []string{"nothing.wasm"}, 2, `no file "nothing.wasm"`},
		{"engine", []string{base, "--against", "redis"}, 2, `--against is "redis": must be memory, keyfolder, dynfile or none`},
		{"operation", []string{base, "--operations", "get,put"}, 2, `"put": must be get, set, get+set or mix`},
		{"size", []string{base, "--value-size", "4kb"}, 2, `"4kb"`},
		{"size below a revision", []string{base, "--value-size", "7"}, 2, "8 bytes"},
		{"size above the most", []string{base, "--value-size", "17MiB"}, 2, "16 MiB"},
		{"size beyond numbers", []string{base, "--value-size", "99999999999999MiB"}, 2, "16 MiB"},
		{"shards", []string{base, "--shards", "3"}, 2, "--shards has 3"},
		{"no number", []string{base, "--shards", "two"}, 2, "whole numbers with commas"},
		{"workers", []string{base, "--concurrency", "0"}, 2, "from 1 to 1024"},
		{"nothing to do", []string{base, "--operations", ""}, 2, "nothing to measure"},
		{"duration", []string{base, "--duration", "4ms"}, 2, "at least a millisecond"},
		{"rounds", []string{base, "--rounds", "0"}, 2, "--rounds is 0"},
		{"deadline", []string{base, "--deadline", "-1s"}, 2, "--deadline is -1s: must be above 0"},
		{"fuel", []string{base, "--fuel", "50m"}, 2, `--fuel is "50m": must be at least 1 unit of fuel`},
		{"trusted with a bound", []string{base, "--trusted", "--fuel", "1M"}, 2, "--trusted runs the module unmetered, and --fuel is a bound"},
		{"too little fuel", []string{base, "--fuel", "10"}, 1, "exceeded its fuel"},
		{"mount", []string{base, "--mount", base}, 2, "a file: must be a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, nil, append([]string{"bench"}, c.args...)...)
			require.Equal(t, c.code, r.code, "%s%s", r.stdout, r.stderr)
			require.Contains(t, lastLine(r), c.says)
			require.Empty(t, r.stdout)
		})
	}
}

// After an interrupt the measurement reports what is known and leaves nothing
// behind.
func TestBenchInterrupted(t *testing.T) {
	needsSignals(t)
	cmd := command(t, nil, "bench", faultyGuest("base"), "--against", "none", "--operations", "get,set", "--value-size", "64",
		"--concurrency", "1", "--duration", "20h", "--rounds", "10000000", "--json")
	temp := inTemp(t, cmd)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	// Usually long enough to be within the rounds. Before them there is only less
	// to report.
	time.Sleep(time.Second)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "waddle: interrupted\n", stderr.String())
	if stdout.Len() > 0 {
		require.True(t, measured(t, stdout.String()).Interrupted)
	}
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}
