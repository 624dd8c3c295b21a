package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// coreCounts are the values of GOMAXPROCS in the part cores, and the machine's own. Above the
// machine's cores there is no more throughput to win, but threads are stopped while they hold
// locks: what is lost there is lost to locks that many wait for.
var coreCounts = []int{1, 2, 4, 8, 16}

// runCores measures the throughput of our middleware over both in-memory stores.
func runCores(ctx context.Context, p plan) ([]samples, error) {
	scratch, err := os.MkdirTemp("", "sessions-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	counts := slices.Clone(coreCounts)
	if own := runtime.GOMAXPROCS(0); !slices.Contains(counts, own) && own*workersPerCore <= users {
		counts = append(counts, own)
		slices.Sort(counts)
	}
	var ours []peer
	for _, p := range peers() {
		if p.name == nameNative || p.name == nameWasm {
			ours = append(ours, p)
		}
	}
	all := []assignment{{Part: partRequests, Subject: nameControl, Cores: counts}}
	return measureCrew(ctx, append(all, assignPeers(ours, counts, []operation{opRead, opWrite}, scratch, "")...), p)
}

// cores prints a line for each subject and operation.
func (t table) cores(rows []row) {
	t.line("\ncores: throughput by GOMAXPROCS, as a multiple of one core's")
	head := fmt.Sprintf("%-40s %9s", "", "ns, one")
	line := ""
	for _, r := range rows {
		if r.Cores == 1 {
			line += fmt.Sprintf("\n%-40s %9.0f", strings.TrimPrefix(r.Operation+" ", "unused ")+r.Subject, r.NS)
			continue
		}
		if r.Subject == nameControl {
			head += fmt.Sprintf(" %8d", r.Cores)
		}
		line += fmt.Sprintf(" %8.2f", r.Scaling)
	}
	t.line("%s%s", head, line)
}
