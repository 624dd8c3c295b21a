package main

import (
	"fmt"
	"time"
)

// Targets, set before anything was built.
const (
	targetRead     = 12.0 // times cheaper than scs with memstore
	targetWrite    = 8.0
	targetWasm     = 1.4 // times the native store, through the same middleware
	targetUnused   = time.Microsecond
	targetScaling  = 1.7 / 2 // of the cores
	targetOverhead = 64      // bytes for each of a million sessions
	targetWorst    = 5 * time.Millisecond
	targetCrowd    = 1_000_000
	targetFairness = 1.5
)

// verdict is the result for one target.
type verdict struct {
	Target string `json:"target"`
	Found  string `json:"found"`
	Met    bool   `json:"met"`
}

// judge gives a verdict on each target for which the run has figures.
// storeCalls is how many calls of the store unused sessions made.
func judge(r *report, storeCalls int) []verdict {
	var all []verdict
	add := func(met bool, target, found string, args ...any) {
		all = append(all, verdict{target, fmt.Sprintf(found, args...), met})
	}
	atLeast := func(op string, want float64) {
		if s := findRow(r.Requests, nameSCS, op, 1); s != nil {
			got := s.cost(nameNative)
			add(got >= want, fmt.Sprintf("%s at least %g times cheaper than scs with memstore", op, want),
				"%.1f times, by wall-clock time %.1f; through the wasm engine %.1f and %.1f",
				got, s.Ratios[nameNative], s.cost(nameWasm), s.Ratios[nameWasm])
		}
	}
	atLeast("read", targetRead)
	atLeast("write", targetWrite)
	for _, op := range []string{"read", "write"} {
		if s := findRow(r.Requests, nameWasm, op, 1); s != nil {
			got := s.cost(nameNative)
			add(got <= targetWasm, fmt.Sprintf("%s: the wasm engine within %g times of the native store", op, targetWasm),
				"%.2f times, by wall-clock time %.2f", got, s.Ratios[nameNative])
		}
	}
	for _, name := range []string{nameNative, nameWasm} {
		if s := findRow(r.Requests, name, "unused", 1); s != nil {
			add(s.cpuOrClock() < float64(targetUnused) && storeCalls == 0,
				fmt.Sprintf("unused session under %v, no store call (%s)", targetUnused, name),
				"%.0f ns, by wall-clock time %.0f, %d store calls", s.cpuOrClock(), s.NS, storeCalls)
		}
	}
	machine := 0.0
	if control := findRow(r.Requests, nameControl, "unused", r.Machine.Cores); control != nil {
		machine = control.Scaling
	}
	for _, name := range []string{nameNative, nameWasm} {
		for _, op := range []string{"read", "write"} {
			if s := findRow(r.Requests, name, op, r.Machine.Cores); s != nil && s.Scaling > 0 {
				want := targetScaling * float64(s.Cores)
				add(s.Scaling >= want, fmt.Sprintf("%s: throughput of %d cores at least %.1f times one core's (%s)", op, s.Cores, want, name),
					"%.2f times, where plain arithmetic reached %.2f times", s.Scaling, machine)
			}
		}
	}
	if r.Guests != nil && r.Guests.Metering != nil {
		judgeMetering(r.Guests.Metering, add)
	}
	if r.Files != nil {
		judgeFiles(r.Files, r.Machine.Cores, add)
	}
	if r.Tenants != nil {
		judgeTenants(r.Tenants, add)
	}
	if f := r.Fairness; f != nil {
		add(f.Ratio < targetFairness, fmt.Sprintf("beside a tenant that does all harm at once, the 99th of a hundred requests under %g times of alone", targetFairness),
			"%.2f times, quartiles %.2f to %.2f", f.Ratio, f.Low, f.High)
	}
	if r.Network != nil {
		judgeNetwork(r.Network, add)
	}
	for _, c := range r.Crowd {
		if c.Store != nameWasm || c.Records < targetCrowd {
			continue
		}
		add(c.Overhead <= targetOverhead,
			fmt.Sprintf("%d sessions: at most %d bytes each beyond key and value", c.Records, targetOverhead), "%.1f bytes", c.Overhead)
		add(c.Mixed.Max < targetWorst, fmt.Sprintf("%d sessions: worst operation of a mixed load under %v", c.Records, targetWorst),
			"%s of wall-clock time, %d of %d above the target; the same load without a store: %s, %d of %d; worst in processor time: %s, of a step of the sweep %s",
			short(c.Mixed.Max), c.Mixed.Over5ms, c.Mixed.Operations, short(c.Noise.Max), c.Noise.Over5ms, c.Noise.Operations,
			short(c.Mixed.MaxProcessor), short(c.Sweep.MaxProcessor))
	}
	return all
}
