package main

import (
	"fmt"
	"time"
)

// Targets of tenants.
const (
	targetTenants   = 10_000
	targetAsleep    = 200e6 // bytes, all of them asleep
	targetFirst     = 400e6 // all of them after a request each
	targetWakeP50   = 250 * time.Microsecond
	targetWakeP99   = time.Millisecond
	targetSwitch    = 5 * time.Microsecond
	targetAwakeCost = 1.2 // times a request to one on an instance of its own
)

// judgeTenants gives a verdict on each target of tenants.
func judgeTenants(r *tenantsResult, add func(met bool, target, found string, args ...any)) {
	for _, f := range r.Fleets {
		if f.Way != string(wayShared) || f.Tenants < targetTenants || f.Asleep == nil {
			continue
		}
		if f.Guest == tenantGo {
			all := float64(f.Asleep.Resident + f.Asleep.Tables)
			add(all <= targetAsleep, fmt.Sprintf("%d tenants of %s: asleep in %.0f MB", f.Tenants, f.Guest, targetAsleep/1e6), "%.0f MB", all/1e6)
			all = float64(f.First.Resident + f.First.Tables)
			add(all <= targetFirst, fmt.Sprintf("%d tenants of %s: after a request each in %.0f MB", f.Tenants, f.Guest, targetFirst/1e6), "%.0f MB", all/1e6)
		}
		p50, p99 := f.Wake.cpuOrClock()
		add(p50 <= float64(targetWakeP50) && p99 <= float64(targetWakeP99),
			fmt.Sprintf("a request to one of %d tenants that sleep, %s: p50 within %v and p99 within %v", f.Tenants, f.Guest, targetWakeP50, targetWakeP99),
			"%s and %s; by wall-clock time %s and %s", nanos(p50), nanos(p99), nanos(f.Wake.P50), nanos(f.Wake.P99))
	}
	for _, guest := range []string{tenantGo, tenantC} {
		if ns, ok := r.Switching[guest]; ok {
			add(ns <= float64(targetSwitch), fmt.Sprintf("a switch to another tenant within %v, %s", targetSwitch, guest), "%s", nanos(ns))
		}
		if s := findRow(r.Rows, tenantSubject(guest, wayShared), opTurns, 1); s != nil {
			got := s.cost(tenantSubject(guest, wayOwn))
			add(got <= targetAwakeCost, fmt.Sprintf("%s within %g times of one on an instance of its own, %s", opTurns, targetAwakeCost, guest), "%.2f times", got)
		}
	}
}
