package main

import (
	"fmt"
	"time"
)

// Targets, set before anything was built, and tightened since.
const (
	targetRead      = 15.0 // times cheaper than scs with memstore
	targetReadWasm  = 13.0 // the same over the wasm engine
	targetWrite     = 11.0
	targetWriteWasm = 9.0
	// targetUnused is how many times less than scs an unused session adds to the bare page: half
	// a microsecond on a machine on which it was 1.6, which is 0.32 of a 28th of scs.
	targetUnused      = 90.0
	targetEngineRead  = 1.15 // times the native store, through the same middleware
	targetEngineWrite = 1.2
	targetScaling     = 1.8 / 2 // of the cores
	targetOverhead    = 48      // bytes for each of a million sessions
	targetWorst       = time.Millisecond
	targetCrowd       = 1_000_000
	targetFairness    = 1.5
	targetCached      = 1.5 // times a get of the memory engine, for a get that dynfile has cached
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
	judgeRequests(r.Requests, storeCalls, add)
	judgeCalls(r.Calls, add)
	judgeCores(r.Cores, r.Machine.Cores, add)
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
	judgeStarts(r.Starts, add)
	judgeCrowds(r.Crowd, add)
	return all
}

// judgement adds a verdict.
type judgement func(met bool, target, found string, args ...any)

func judgeRequests(rows []row, storeCalls int, add judgement) {
	for _, c := range []struct {
		op, to string
		want   float64
	}{
		{"read", nameNative, targetRead}, {"read", nameWasm, targetReadWasm},
		{"write", nameNative, targetWrite}, {"write", nameWasm, targetWriteWasm},
	} {
		if s := findRow(rows, nameSCS, c.op, 1); s != nil {
			add(s.cost(c.to) >= c.want, fmt.Sprintf("%s at least %g times cheaper than scs with memstore (%s)", c.op, c.want, c.to),
				"%.1f times, by wall-clock time %.1f", s.cost(c.to), s.Ratios[c.to])
		}
	}
	for _, c := range []struct {
		op   string
		want float64
	}{{"read", targetEngineRead}, {"write", targetEngineWrite}} {
		if s := findRow(rows, nameWasm, c.op, 1); s != nil {
			add(s.cost(nameNative) <= c.want, fmt.Sprintf("%s: the wasm engine within %g times of the native store", c.op, c.want),
				"%.2f times, by wall-clock time %.2f", s.cost(nameNative), s.Ratios[nameNative])
		}
	}
	bare, scs := findRow(rows, nameBare, "unused", 1), findRow(rows, nameSCS, "unused", 1)
	for _, name := range []string{nameNative, nameWasm} {
		if s := findRow(rows, name, "unused", 1); s != nil && bare != nil && scs != nil {
			ours, theirs := s.cpuOrClock()-bare.cpuOrClock(), scs.cpuOrClock()-bare.cpuOrClock()
			add(theirs >= targetUnused*ours && storeCalls == 0,
				fmt.Sprintf("an unused session adds to the bare page at most a %gth of what scs does, without a store call (%s)", targetUnused, name),
				"%.0f ns, a %.0fth of %.0f ns; %d store calls", ours, theirs/ours, theirs, storeCalls)
		}
	}
}

func judgeCalls(rows []row, add judgement) {
	if r := findRow(rows, nameDynfileCached, "get", 1); r != nil {
		add(r.cost(nameWasmCall) <= targetCached, fmt.Sprintf("dynfile: a get of what is cached within %g times of the memory engine's", targetCached),
			"%.2f times", r.cost(nameWasmCall))
	}
	if r := findRow(rows, nameDynfileRaw, "get", 1); r != nil {
		add(r.cost(nameBoltCall) < 1, "dynfile: a get of what is not cached cheaper than bbolt's", "%.2f times", r.cost(nameBoltCall))
	}
}

func judgeCores(rows []row, cores int, add judgement) {
	machine := 0.0
	if control := findRow(rows, nameControl, opUnused.String(), cores); control != nil {
		machine = control.Scaling
	}
	for _, name := range []string{nameNative, nameWasm} {
		for _, op := range []string{"read", "write"} {
			if s := findRow(rows, name, op, cores); s != nil && s.Scaling > 0 {
				want := targetScaling * float64(cores)
				add(s.Scaling >= want, fmt.Sprintf("%s: throughput of %d cores at least %.1f times one core's (%s)", op, cores, want, name),
					"%.2f times, where plain arithmetic reached %.2f times", s.Scaling, machine)
			}
		}
	}
}

func judgeCrowds(crowds []crowdResult, add judgement) {
	for _, c := range crowds {
		if c.Store != nameWasm || c.Records < targetCrowd {
			continue
		}
		add(c.Overhead <= targetOverhead,
			fmt.Sprintf("%d sessions: at most %d bytes each beyond key and value", c.Records, targetOverhead), "%.1f bytes", c.Overhead)
		worst := c.Mixed.processorOrClock()
		add(worst < targetWorst, fmt.Sprintf("%d sessions: worst operation of a mixed load under %v of processor time", c.Records, targetWorst),
			"%s, of a step of the sweep %s; of wall-clock time %s, the same load without a store %s",
			short(worst), short(c.Sweep.MaxProcessor), short(c.Mixed.Max), short(c.Noise.Max))
	}
}
