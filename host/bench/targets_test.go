package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// figures is a report that meets every target by a hair.
func figures() *report {
	r := &report{Machine: machine{Cores: 2}}
	ratio := func(native, wasm float64) map[string]float64 {
		return map[string]float64{nameNative: native, nameWasm: wasm}
	}
	r.Requests = []row{
		{Subject: nameSCS, Operation: "read", Cores: 1, Ratios: ratio(15, 13)},
		{Subject: nameSCS, Operation: "write", Cores: 1, Ratios: ratio(11, 9)},
		{Subject: nameWasm, Operation: "read", Cores: 1, Ratios: ratio(1.15, 1)},
		{Subject: nameWasm, Operation: "write", Cores: 1, Ratios: ratio(1.2, 1)},
		{Subject: nameBare, Operation: "unused", Cores: 1, NS: 20},
		{Subject: nameSCS, Operation: "unused", Cores: 1, NS: 20 + 90*300},
	}
	for _, name := range []string{nameNative, nameWasm} {
		r.Requests = append(r.Requests, row{Subject: name, Operation: "unused", Cores: 1, NS: 20 + 300})
		for _, op := range []string{"read", "write"} {
			r.Cores = append(r.Cores, row{Subject: name, Operation: op, Cores: 2, Scaling: 1.8}, row{Subject: name, Operation: op, Cores: 16, Scaling: 0.1})
		}
	}
	r.Calls = []row{
		{Subject: nameDynfileCached, Operation: "get", Cores: 1, Ratios: map[string]float64{nameWasmCall: 1.5}},
		{Subject: nameDynfileRaw, Operation: "get", Cores: 1, Ratios: map[string]float64{nameBoltCall: 0.99}},
	}
	r.Starts = []startResult{{Engine: nameMemory, Cold: targetStartCold - 1, Warm: time.Hour, WarmProcessor: targetStartWarm - 1}, {Engine: nameDynfile, Warm: time.Hour}}
	r.Files = &filesResult{
		Filesystem: "ext4",
		Records: []row{
			{Subject: nameDynfile, Operation: opUnsynced, Cores: 1, Ratios: map[string]float64{nameGorillaFiles: 1. / 20}},
			{Subject: nameKeyfolder, Operation: opUnsynced, Cores: 1, Ratios: map[string]float64{nameGorillaFiles: 1. / 3}},
			{Subject: nameDynfile + oneShard, Operation: opSynced, Cores: 1, Ratios: map[string]float64{nameBareAppends: 1.3}},
			{Subject: nameDynfile, Operation: opSynced, Cores: 1, NS: 5000},
			{Subject: nameDynfile, Operation: opMany, Cores: 2, NS: 1000},
			{Subject: nameKeyfolder, Operation: opSynced, Cores: 1, NS: 4000},
			{Subject: nameKeyfolder, Operation: opMany, Cores: 2, NS: 1000},
			{Subject: nameKeyfolder + ", close", Operation: opFetch, Cores: 1, Ratios: map[string]float64{nameGorillaFiles: 1. / 2}},
		},
		Waits: []waitsResult{
			{Engine: nameKeyfolder, Records: 20_000, FirstSave: 2*targetFirstSave - 2, AtSweep: latency{Max: targetPause - 1}},
			{Engine: nameDynfile, Records: 10_000, FirstSave: time.Hour, AtSaves: latency{Max: time.Hour}},
		},
		Crowds: []fileCrowdResult{
			{Engine: nameDynfile, Records: targetCrowd, Removed: 1, Load: latency{Max: targetPause - 1},
				Openings: []opening{{What: openWarm, Took: targetOpen - 1}, {What: openWithoutHint, Took: targetOpen - 1}}},
			{Engine: nameKeyfolder, Records: targetCrowd / 50, Openings: []opening{{What: openWarm, Took: time.Hour}}},
		},
	}
	r.Guests = &guestsResult{Metering: &meteringResult{
		Guests: []meteredGuest{
			{Language: "c", MeteredGet: 1.1, MeteredSet: 1.1, Compile: 1.15},
			{Language: guestGo, MeteredGet: 1.15, MeteredSet: 1.15, Compile: 1.15},
			{Language: nameWasmCall, MeteredGet: 1.15, MeteredSet: 1.15, Compile: 1.15},
		},
		Empty: emptyCall{Unmetered: 50, Metered: 60},
	}}
	fleet := func(guest string, way tenantWay, tenants int) fleetResult {
		return fleetResult{Guest: guest, Way: string(way), Tenants: tenants,
			Asleep: &fleetMemory{processMemory: processMemory{Resident: targetAsleep - 1e6, Tables: 1e6}},
			First:  fleetMemory{processMemory: processMemory{Resident: targetFirst - 1e6, Tables: 1e6}},
			Wake:   &quantiles{ProcessorP50: float64(targetWakeP50), ProcessorP99: float64(targetWakeP99), P99: 1e12}}
	}
	r.Tenants = &tenantsResult{
		Fleets: []fleetResult{fleet(tenantGo, wayShared, targetTenants), fleet(tenantC, wayShared, targetTenants)},
		Rows: []row{{Subject: tenantSubject(tenantGo, wayShared), Operation: opTurns, Cores: 1,
			Ratios: map[string]float64{tenantSubject(tenantGo, wayOwn): 1.2}}},
		Switching: map[string]float64{tenantGo: float64(targetSwitch)},
	}
	r.Crowd = []crowdResult{{Store: nameWasm, Records: targetCrowd, Overhead: 48, Mixed: latency{Max: time.Hour, MaxProcessor: targetWorst - 1}}}
	r.Fairness = &fairnessResult{Ratio: 1.49}
	return r
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*report)
		calls  int
		missed []string
	}{
		{"all met", func(*report) {}, 0, nil},
		{"read", func(r *report) { r.Requests[0].Ratios[nameNative] = 14.9 }, 0, []string{"read at least 15"}},
		{"read, wasm", func(r *report) { r.Requests[0].Ratios[nameWasm] = 12.9 }, 0, []string{"read at least 13"}},
		{"write", func(r *report) { r.Requests[1].Ratios[nameNative] = 10.9 }, 0, []string{"write at least 11"}},
		{"engine reads", func(r *report) { r.Requests[2].Ratios[nameNative] = 1.16 }, 0, []string{"read: the wasm engine within 1.15"}},
		{"engine", func(r *report) { r.Requests[3].Ratios[nameNative] = 1.21 }, 0, []string{"write: the wasm engine within 1.2 "}},
		{"unused slow", func(r *report) { r.Requests[6].NS = 321 }, 0, []string{"an unused session adds"}},
		{"unused calls the store", func(*report) {}, 1, []string{"an unused session", "an unused session"}},
		{"scaling", func(r *report) { r.Cores[0].Scaling = 1.79 }, 0, []string{"read: throughput of 2 cores at least 1.8"}},
		{"cached", func(r *report) { r.Calls[0].Ratios[nameWasmCall] = 1.51 }, 0, []string{"dynfile: a get of what is cached"}},
		{"raw", func(r *report) { r.Calls[1].Ratios[nameBoltCall] = 1 }, 0, []string{"dynfile: a get of what is not cached"}},
		{"cold start", func(r *report) { r.Starts[0].Cold++ }, 0, []string{"the memory engine's first answer under 400ms"}},
		{"warm start", func(r *report) { r.Starts[0].WarmProcessor++ }, 0, []string{"the memory engine's first answer under 30ms"}},
		{"memory", func(r *report) { r.Crowd[0].Overhead = 48.1 }, 0, []string{"1000000 sessions: at most 48 bytes"}},
		{"fairness", func(r *report) { r.Fairness.Ratio = 1.5 }, 0, []string{"beside a tenant that does all harm at once"}},
		{"worst", func(r *report) { r.Crowd[0].Mixed.MaxProcessor++ }, 0, []string{"1000000 sessions: worst"}},
		{"metered get", func(r *report) { r.Guests.Metering.Guests[0].MeteredGet = 1.11 }, 0, []string{"c: get and set metered within 1.1 times"}},
		{"metered set of Go", func(r *report) { r.Guests.Metering.Guests[1].MeteredSet = 1.16 }, 0, []string{"go: get and set metered within 1.15 times"}},
		{"metered engine", func(r *report) { r.Guests.Metering.Guests[2].MeteredSet = 1.16 }, 0, []string{"the bundled memory engine: get and set metered"}},
		{"metered compiling", func(r *report) { r.Guests.Metering.Guests[0].Compile = 1.16 }, 0, []string{"c: compiling metered within 1.15 times"}},
		{"empty call", func(r *report) { r.Guests.Metering.Empty.Metered = 60.1 }, 0, []string{"an empty call metered at most 10 ns more"}},
		{"dynfile, not synced", func(r *report) { r.Files.Records[0].Ratios[nameGorillaFiles] = 1 / 19.9 }, 0, []string{"waddle, dynfile, not synced: at least 20"}},
		{"keyfolder", func(r *report) { r.Files.Records[1].Ratios[nameGorillaFiles] = 1 / 2.9 }, 0, []string{"waddle, keyfolder, not synced: at least 3"}},
		{"one writer", func(r *report) { r.Files.Records[2].Ratios[nameBareAppends] = 1.31 }, 0, []string{"waddle, dynfile, one writer"}},
		{"64 writers", func(r *report) { r.Files.Records[4].NS = 1001 }, 0, []string{"waddle, dynfile, 64 writers, each synced: at least 5 times"}},
		{"64 writers of keyfolder", func(r *report) { r.Files.Records[6].NS = 1001 }, 0, []string{"waddle, keyfolder, 64 writers, each synced: at least 4 times"}},
		{"reads of keyfolder", func(r *report) { r.Files.Records[7].Ratios[nameGorillaFiles] = 1 / 1.9 }, 0, []string{"waddle, keyfolder: at least 2 times gorilla's reads"}},
		{"first save", func(r *report) { r.Files.Waits[0].FirstSave = 2 * targetFirstSave }, 0, []string{"waddle, keyfolder: a first save under 5s"}},
		{"waits at first", func(r *report) { r.Files.Waits[0].AtFirst.Max = targetPause }, 0, []string{"waddle, keyfolder: no operation waits 10ms"}},
		{"waits", func(r *report) { r.Files.Waits[0].AtSweep.Max = targetPause }, 0, []string{"waddle, keyfolder: no operation waits 10ms"}},
		{"opening", func(r *report) { r.Files.Crowds[0].Openings[1].Took = targetOpen }, 0, []string{"waddle, dynfile: 1000000 sessions opened under 3s"}},
		{"pause", func(r *report) { r.Files.Crowds[0].Load.Max = targetPause }, 0, []string{"waddle, dynfile: worst operation while space"}},
		{"no space was freed", func(r *report) { r.Files.Crowds[0].Removed = 0 }, 0, []string{"waddle, dynfile: worst operation while space"}},
		{"syncs of a filesystem in memory", func(r *report) {
			r.Files.Filesystem = filesystemMemory
			for i := range r.Files.Records {
				if r.Files.Records[i].Operation != opFetch {
					clear(r.Files.Records[i].Ratios)
				}
				r.Files.Records[i].NS = 1000
			}
			r.Files.Waits[0].FirstSave, r.Files.Waits[0].AtFirst.Max = time.Hour, time.Hour
		}, 0, nil},
		{"tenants asleep", func(r *report) { r.Tenants.Fleets[0].Asleep.Tables++ }, 0, []string{"10000 tenants of the bundled memory engine, in Go: asleep"}},
		{"tenants awake", func(r *report) { r.Tenants.Fleets[0].First.Tables++ }, 0, []string{"10000 tenants of the bundled memory engine, in Go: after a request"}},
		{"waking", func(r *report) { r.Tenants.Fleets[1].Wake.ProcessorP50++ }, 0, []string{"a request to one of 10000 tenants that sleep, the guest in C"}},
		{"waking slowly at times", func(r *report) { r.Tenants.Fleets[1].Wake.ProcessorP99++ }, 0, []string{"a request to one of 10000 tenants that sleep, the guest in C"}},
		{"switching", func(r *report) { r.Tenants.Switching[tenantGo]++ }, 0, []string{"a switch to another tenant"}},
		{"tenants that are awake", func(r *report) { r.Tenants.Rows[0].Ratios[tenantSubject(tenantGo, wayOwn)] = 1.21 }, 0, []string{"a request to one of 16 tenants in turn within 1.2"}},
		{"four cores", func(r *report) {
			r.Machine.Cores = 4
			r.Files = nil
			r.Cores[0].Cores, r.Cores[0].Scaling = 4, 3.5
		}, 0, []string{"read: throughput of 4 cores at least 3.6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := figures()
			c.change(r)
			var missed []string
			for _, v := range judge(r, c.calls) {
				if !v.Met {
					missed = append(missed, v.Target)
				}
			}
			require.Len(t, missed, len(c.missed), "%v", missed)
			for i, want := range c.missed {
				require.True(t, strings.HasPrefix(missed[i], want), "%q", missed[i])
			}
		})
	}
	require.Empty(t, judge(&report{}, 0), "without measurements there are no verdicts")
	few := figures()
	few.Fairness, few.Calls, few.Cores, few.Starts, few.Files.Waits = nil, nil, nil, nil, nil
	few.Requests, few.Files.Records, few.Crowd[0].Records = nil, nil, targetCrowd-1
	few.Files.Crowds[0].Records, few.Guests = targetCrowd-1, nil
	few.Tenants.Fleets[0].Tenants, few.Tenants.Fleets[1].Tenants, few.Tenants.Rows, few.Tenants.Switching = 100, 100, nil, nil
	require.Empty(t, judge(few, 0), "a target for a million is not judged by fewer")
}
