package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"
)

// What benchstat's own reader finds in the file is what was measured, round by round.
func TestRoundsForBenchstat(t *testing.T) {
	r := &report{Machine: machine{CPU: "Some Processor", Cores: 2, OS: "linux", Arch: "amd64", Go: "go1.26", Collector: 100}}
	kept := r.keep(partRequests, []samples{
		{cellName: cellName{Subject: nameWasmSealed, Operation: "read", Cores: 1}, n: []int{4000, 4000},
			ns: []float64{2803.25, 3000}, cpu: []float64{2790, 2801}, allocs: []float64{7, 7.002}, bytes: []float64{1528, 1530}},
		{cellName: cellName{Subject: "gorilla/a=b", Operation: opUnsynced, Cores: 16}, n: []int{1}, ns: []float64{2e6}, cpu: []float64{0}, allocs: []float64{0}, bytes: []float64{0}},
	})
	require.Len(t, kept, 2)
	path := filepath.Join(t.TempDir(), "results.txt")
	require.NoError(t, r.writeRounds(path))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()

	var lines []string
	var values []map[string]float64
	config := map[string]string{}
	for reader := benchfmt.NewReader(f, path); reader.Scan(); {
		found, ok := reader.Result().(*benchfmt.Result)
		require.True(t, ok, "%v", reader.Result())
		base, parts := found.Name.Parts()
		line := string(base)
		for _, p := range parts {
			line += " " + strings.TrimPrefix(string(p), "/")
		}
		lines = append(lines, line)
		v := map[string]float64{"n": float64(found.Iters)}
		for _, each := range found.Values {
			v[each.Unit] = each.Value
		}
		values = append(values, v)
		for _, c := range found.Config {
			config[c.Key] = string(c.Value)
		}
	}
	sealed := "Requests op=read subject=waddle-wasm-memory-engine-sealed -1"
	require.Equal(t, []string{sealed, sealed, "Requests op=write-not-synced subject=gorilla-a-b -16"}, lines)
	require.Len(t, values, 3)
	require.InDeltaMapValues(t, map[string]float64{"n": 4000, "sec/op": 3000e-9, "cpu-sec/op": 2801e-9, "B/op": 1530, "allocs/op": 7.002}, values[1], 1e-12)
	require.Equal(t, map[string]float64{"n": 1, "sec/op": 2e-3, "B/op": 0, "allocs/op": 0}, values[2], "no processor time where it is unknown")
	require.Equal(t, "Some Processor", config["cpu"])
	require.Equal(t, "100", config["gogc"])
}
