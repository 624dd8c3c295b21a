package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// state is a checkout whose benchmark program finds what the test says. A comparison
// builds and runs it.
func state(t *testing.T, results string) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "host", "bench")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for name, text := range map[string]string{
		"go.mod":       "module example.org/bench\n\ngo 1.26.0\n",
		"results.json": results,
		"main.go": `package main

import "os"

// The arguments are -quick=true -only PARTS -json FILE.
func main() {
	data, err := os.ReadFile("results.json")
	if err == nil {
		err = os.WriteFile(os.Args[5], data, 0o600)
	}
	if err != nil || len(data) == 0 {
		println("there is nothing to find")
		os.Exit(1)
	}
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return root
}

// A run of this program is compared with one of a program that knows other fields and
// other subjects.
func TestAgainstAnotherState(t *testing.T) {
	own := program{filepath.Join(t.TempDir(), "own.exe"), t.TempDir()}
	script := "#!/bin/sh\n" + `echo '{"calls":[
{"subject":"kept","operation":"get","cores":1,"ns":900,"cpu_ns":300,"allocs":2},
{"subject":"kept","operation":"set","cores":1,"ns":50},
{"subject":"new","operation":"get","cores":1,"ns":1}]}' >"$5"` + "\n"
	require.NoError(t, os.WriteFile(own.path, []byte(script), 0o755))

	other := state(t, `{"formerly":true,"calls":[
{"subject":"kept","operation":"get","cores":1,"ns":1,"cpu_ns":200,"allocs":3,"median":4},
{"subject":"kept","operation":"set","cores":1,"ns":100},
{"subject":"old","operation":"get","cores":1,"ns":1}]}`)
	built := program{filepath.Join(t.TempDir(), "other.exe"), filepath.Join(other, "host", "bench")}
	require.NoError(t, built.build(t.Context()))
	these, others, err := comparison{this: own, other: built, parts: "calls", turns: 3, quick: true}.run(t.Context())
	require.NoError(t, err)
	rows, missing, err := compare(these, others)
	require.NoError(t, err)
	require.Equal(t, []compared{
		{"kept", "get", 1, 300, 200, 1.5, 1.5, 1.5, 2, 3},
		{"kept", "set", 1, 50, 100, 0.5, 0.5, 0.5, 0, 0},
	}, rows)
	require.Equal(t, []string{"get new, cores: 1 is only in this state", "get old, cores: 1 is only in the other state"}, missing)

	var out bytes.Buffer
	table{&out}.compared(rows, missing, 3)
	require.Regexp(t, `kept +1 +300 +200 +1\.500 +1\.500–1\.500 +2, 3`, out.String())
	require.Contains(t, out.String(), missing[1])

	path := filepath.Join(t.TempDir(), "turns.txt")
	require.NoError(t, writeTurns(path, these))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(text), "BenchmarkTurn/op=get/subject=kept-1\t1\t900 ns/op\t300 cpu-ns/op\t0 B/op\t2 allocs/op\n"))

	require.NoError(t, os.WriteFile(filepath.Join(built.dir, "results.json"), nil, 0o644))
	_, _, err = comparison{this: own, other: built, parts: "calls", turns: 1, quick: true}.run(t.Context())
	require.ErrorContains(t, err, "there is nothing to find")
}

// The turns are paired: a machine that becomes twice as slow changes no ratio.
func TestComparedTurnByTurn(t *testing.T) {
	at := func(ns ...float64) (turns [][]row) {
		for _, n := range ns {
			turns = append(turns, []row{{Subject: "s", Operation: "get", Cores: 1, NS: n}})
		}
		return turns
	}
	rows, _, err := compare(at(110, 220, 440), at(100, 200, 400))
	require.NoError(t, err)
	require.InDelta(t, 1.1, rows[0].low, 1e-9)
	require.InDelta(t, 1.1, rows[0].high, 1e-9)
	_, _, err = compare(at(1), [][]row{{{Subject: "another", Operation: "get", Cores: 1, NS: 1}}})
	require.ErrorContains(t, err, "nothing in common")
}

func TestAgainstWhatCannotBeCompared(t *testing.T) {
	var out bytes.Buffer
	require.ErrorContains(t, run(context.Background(), []string{"-against", t.TempDir()}, &out), "cannot build the benchmarks")
	require.ErrorContains(t, run(context.Background(), []string{"-against", ".", "-turns", "0"}, &out), "-turns is 0: must be at least 1")
}
