package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// table prints the report for people.
type table struct {
	w io.Writer
}

func (t table) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

func (t table) head(r *report) {
	t.line("%s", r.Machine)
	for _, path := range slices.Sorted(maps.Keys(r.Versions)) {
		t.line("  %s %s", path, r.Versions[path])
	}
}

// what explains the operations of a table.
var what = map[string]string{
	"unused": "a request that does not touch its session",
	"read":   "a request that reads two of the five values of its session",
	"write":  "a request that reads two of the five values and changes one",
	"get":    "get of 300 bytes by a key of 32, without HTTP",
	"set":    "set of 300 bytes under a key of 32, without HTTP",
}

// requests prints a table per operation: one core, and all of them.
func (t table) requests(rows []row, cores int) {
	for _, op := range measured {
		t.line("\n%s: %s", op, what[op.String()])
		t.line("%-34s %9s %9s %7s %8s %8s %8s   %10s %8s %8s", "", "ns", "cpu ns", "allocs", "bytes", "×native", "×wasm",
			fmt.Sprintf("ns, %d cores", cores), "×native", "scaling")
		for _, r := range rows {
			if r.Operation != op.String() || r.Cores != 1 {
				continue
			}
			if r.Subject == nameControl {
				if all := findRow(rows, r.Subject, r.Operation, cores); all != nil && cores > 1 {
					t.line("%-34s %9.0f %9.0f %7s %8s %8s %8s   %10.0f %8s %8.2f", r.Subject, r.NS, r.CPU, "", "", "", "", all.NS, "", all.Scaling)
				}
				continue
			}
			line := fmt.Sprintf("%-34s %9.0f %9.0f %7.0f %8.0f %8.2f %8.2f", r.Subject, r.NS, r.CPU, r.Allocs, r.Bytes, r.cost(nameNative), r.cost(nameWasm))
			if all := findRow(rows, r.Subject, r.Operation, cores); all != nil && cores > 1 {
				line += fmt.Sprintf("   %10.0f %8.2f %8.2f", all.NS, all.cost(nameNative), all.Scaling)
			}
			t.line("%s", line)
		}
	}
}

// calls prints the bare operation.
func (t table) calls(rows []row) {
	for _, op := range []string{"get", "set"} {
		t.line("\n%s: %s", op, what[op])
		t.line("%-28s %9s %9s %7s %8s %8s", "", "ns", "cpu ns", "allocs", "bytes", "×ours")
		for _, r := range rows {
			if r.Operation == op {
				t.line("%-28s %9.0f %9.0f %7.0f %8.0f %8.2f", r.Subject, r.NS, r.CPU, r.Allocs, r.Bytes, r.cost(nameWasmCall))
			}
		}
	}
}

// crowd prints the results of a store with very many sessions.
func (t table) crowd(results []crowdResult) {
	for _, c := range results {
		t.line("\n%d sessions of %d bytes: %s", c.Records, c.Value, c.Store)
		t.line("  %.1f MiB in use, %.1f bytes per session beyond key and value; %d expired ones swept", float64(c.Memory)/(1<<20), c.Overhead, c.Swept)
		t.latencies(namedLatency{"fill", c.Fill}, namedLatency{"mixed load", c.Mixed},
			namedLatency{"steps of the sweep beside it", c.Sweep}, namedLatency{"the same load, no store", c.Noise})
	}
}

type namedLatency struct {
	name string
	latency
}

func (t table) latencies(all ...namedLatency) {
	t.line("  %-30s %10s %9s %9s %9s %9s %7s %7s %12s", "", "operations", "p50", "p99", "p99.9", "worst", ">1ms", ">5ms", "worst, cpu")
	for _, l := range all {
		t.line("  %-30s %10d %9s %9s %9s %9s %7d %7d %12s", l.name, l.Operations,
			short(l.P50), short(l.P99), short(l.P999), short(l.Max), l.Over1ms, l.Over5ms, short(l.MaxProcessor))
	}
}

// short rounds a duration to about three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d >= 10*time.Microsecond:
		return d.Round(100 * time.Nanosecond).String()
	}
	return d.String()
}

func (t table) notes(notes map[string]string) {
	t.line("")
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		t.line("%s: %s", name, notes[name])
	}
}

func (t table) targets(verdicts []verdict) {
	t.line("\ntargets")
	for _, v := range verdicts {
		word := "missed"
		if v.Met {
			word = "met"
		}
		t.line("  %-6s %s: %s", word, v.Target, v.Found)
	}
}
