package main

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// tenants prints what tenants cost.
func (t table) tenants(r *tenantsResult) {
	t.line("\ntenants: a plugin and a session manager each, with %d sessions", r.Sessions)
	t.line("%-34s %7s   %-12s %9s %9s %9s %9s %9s", "", "tenants", "", "per tenant", "in all", "heap", "tables", "mappings")
	for _, f := range r.Fleets {
		name, count := f.Guest, fmt.Sprint(f.Tenants)
		for _, state := range []struct {
			name string
			*fleetMemory
		}{{"new", &f.Filled}, {"asleep", f.Asleep}, {"one request", &f.First}, {fmt.Sprintf("%d requests", r.Requests), &f.Warm}} {
			if state.fleetMemory == nil {
				continue
			}
			m := state.fleetMemory
			t.line("%-34s %7s   %-12s %6.1f KiB %5.0f MiB %5.0f MiB %5.0f MiB %9d", name, count, state.name,
				float64(m.PerTenant)/1024, mib(m.Resident+m.Tables), mib(m.Heap), mib(m.Tables), m.Mappings)
			name, count = "  "+f.Way, ""
		}
	}
	for _, guest := range slices.Sorted(maps.Keys(r.NotShared)) {
		t.line("%s does not run on shared executors here: %s", guest, r.NotShared[guest])
	}
	t.line("\n%-34s %7s %7s   %9s %9s %9s %9s", "", "tenants", "", "cpu p50", "cpu p99", "p50", "p99")
	for _, f := range r.Fleets {
		subject := f.Guest
		line := func(what string, q *quantiles) {
			if q == nil {
				return
			}
			t.line("%-34s %7d %-21s   %9s %9s %9s %9s", subject, f.Tenants, what, nanos(q.ProcessorP50), nanos(q.ProcessorP99), nanos(q.P50), nanos(q.P99))
			subject = "  " + f.Way
		}
		line("new, first answer", &f.New)
		line("asleep, first answer", f.Wake)
		if f.Traffic != nil {
			line(fmt.Sprintf("traffic, %d awake", min(r.Awake, f.Tenants)), &f.Traffic.quantiles)
			t.line("%-34s %7s traffic: %.0f requests per second, %.0f MiB", "", "", f.Traffic.PerSecond, mib(f.Traffic.Memory.Resident+f.Traffic.Memory.Tables))
		}
	}
	t.line("\n%-54s %9s %9s %7s   %s", "", "ns", "cpu ns", "allocs", "×an instance each")
	for _, op := range []string{opSame, opTurns} {
		t.line("%s", op)
		for _, r := range r.Rows {
			if r.Operation == op {
				t.line("  %-52s %9.0f %9.0f %7.1f   %.2f", r.Subject, r.NS, r.CPU, r.Allocs, r.costOnly())
			}
		}
	}
	for _, guest := range slices.Sorted(maps.Keys(r.Switching)) {
		t.line("  a switch, %s: %s", guest, nanos(r.Switching[guest]))
	}
}

// costOnly is the cost of a row that is compared with one subject.
func (r *row) costOnly() float64 {
	for to := range r.Ratios {
		return r.cost(to)
	}
	return 0
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func nanos(ns float64) string { return short(time.Duration(ns)) }
