package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A whole run, short enough for a test: everything is in the table and in the
// file.
func TestMeasureAll(t *testing.T) {
	tiny := effort{
		plan:    plan{rounds: 3, span: 500 * time.Microsecond},
		calls:   plan{rounds: 3, span: 500 * time.Microsecond},
		cores:   plan{rounds: 1, span: 500 * time.Microsecond},
		starts:  1,
		files:   tinyFiles,
		crowd:   crowd{records: 2000, slices: 1, span: 20 * time.Millisecond},
		tenants: tinyTenants,
		fair:    fairnessEffort{rounds: 1, span: 100 * time.Millisecond},
		network: networkEffort{rounds: 1, span: 20 * time.Millisecond, callers: []int{1, 4}, starts: 1},
	}
	parts, err := chooseParts("")
	require.NoError(t, err)
	var out bytes.Buffer
	dir := t.TempDir()
	made, err := measureAll(context.Background(), tiny, parts, places{files: dir, guests: filepath.Join("..", "..", "examples", "guests")}, table{&out})
	require.NoError(t, err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "everything that was made is removed")

	path := filepath.Join(t.TempDir(), "results.json")
	require.NoError(t, made.write(path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var read report
	require.NoError(t, json.Unmarshal(data, &read))
	require.Len(t, made.rounds, 5, "requests, calls, cores, guests and files are recorded round by round")
	for _, each := range made.rounds {
		require.NotEmpty(t, each.samples, each.part)
	}
	require.True(t, reflect.DeepEqual(made.Requests, read.Requests), "the file has what was measured")

	require.Contains(t, out.String(), read.Machine.String())
	for _, p := range peers() {
		require.Contains(t, out.String(), p.name)
		for _, op := range measured {
			if !p.does(op) {
				continue
			}
			r := findRow(read.Requests, p.name, op.String(), 1)
			require.NotNil(t, r, "%s %v", p.name, op)
			require.Positive(t, r.NS)
			require.Positive(t, r.Ratios[nameNative])
		}
	}
	require.Len(t, read.Calls, 2*len(callees), "two operations")
	for _, n := range coreCounts {
		for _, op := range []string{"read", "write"} {
			require.Positive(t, findRow(read.Cores, nameWasm, op, n).NS)
		}
	}
	require.Len(t, read.Starts, 3)
	for _, s := range read.Starts {
		require.Greater(t, s.Cold, s.Warm, s.Engine)
	}
	for _, r := range read.Calls {
		require.Positive(t, r.Ratios[nameWasmCall], "%s %s", r.Subject, r.Operation)
	}
	require.Len(t, read.Guests.Facts, 6, "five languages, and the bundled engine")
	for _, f := range read.Guests.Facts {
		require.Positive(t, f.Size)
		require.Positive(t, f.Compile)
		require.Positive(t, f.Instance)
		require.Positive(t, f.Heap)
		require.Positive(t, f.Memory)
		for _, op := range []string{"get", "set"} {
			require.Positive(t, findRow(read.Guests.Rows, f.Language, op, 1).Ratios[guestGo], "%s %s", f.Language, op)
		}
		if f.Language != nameWasmCall {
			require.Contains(t, out.String(), f.Language)
		}
	}
	require.Contains(t, out.String(), "the bundled memory engine")
	m := read.Guests.Metering
	require.Len(t, m.Guests, 6)
	for _, g := range m.Guests {
		for _, figure := range []float64{g.Get, g.Set, g.MeteredGet, g.MeteredSet, g.CloseGet, g.CloseSet, g.Compile} {
			require.Positive(t, figure, g.Language)
		}
	}
	require.Positive(t, m.Empty.Metered*m.Empty.Unmetered*m.Empty.Bare*m.Empty.CloseOnDone)
	require.Len(t, m.Rows, 4*(2*6+1), "each guest in four ways")
	require.Contains(t, out.String(), "an empty call: unmetered ")
	checkFiles(t, read.Files)
	for _, c := range read.Files.Crowds {
		require.Contains(t, out.String(), "sessions of 300 bytes in files: "+c.Engine)
	}
	require.Len(t, read.Crowd, 2)
	require.Equal(t, made.Tenants, read.Tenants)
	require.NotEmpty(t, read.Tenants.Fleets)
	require.Contains(t, out.String(), tenantGo)
	checkNetwork(t, read.Network)
	require.NotEmpty(t, read.Targets)
	for _, v := range read.Targets {
		require.Contains(t, out.String(), v.Target)
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-only", "requests,everything"}, `no part "everything": must be of requests, calls, cores, start, guests, files, million, tenants, fairness, network, scale`},
		{[]string{"-quick", "please"}, `unexpected argument "please"`},
		{[]string{"-slow"}, "not defined: -slow"},
	} {
		require.ErrorContains(t, run(context.Background(), c.args, io.Discard), c.want)
	}
	parts, err := chooseParts("million,calls")
	require.NoError(t, err)
	require.Equal(t, map[string]bool{partCrowd: true, partCalls: true}, parts)
}
