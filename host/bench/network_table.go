package main

import (
	"fmt"
	"time"
)

// Targets of engines that reach a server.
const (
	targetNetworkLatency    = 1.3 // times scs's, of one caller that reads and writes
	targetNetworkThroughput = 4.0 // times scs's, of the most callers
	targetNetworkCPU        = 0.5 // of scs's processor time, of the most callers
	targetNetworkCallers    = 256
	targetNetworkStart      = 150 * time.Millisecond // with cached code
)

// network prints a table for each server and operation.
func (t table) network(n *networkResult) {
	for _, b := range networkPeers() {
		if why := n.Notes[b.name]; why != "" {
			t.line("\n%s: %s", b.name, why)
			continue
		}
		for _, op := range []operation{opRead, opWrite} {
			t.line("\n%s, %s: %s", b.name, op, what[op.String()])
			t.line("%-36s %7s %9s %9s %10s %9s   %8s %8s %8s", "", "callers", "p50", "p99", "per second", "cpu", "×p50", "×time", "×cpu")
			for _, r := range n.Rows {
				if r.Backend == b.name && r.Operation == op.String() {
					t.line("%-36s %7d %9s %9s %10.0f %9s   %8.2f %8.2f %8.2f", r.Subject, r.Callers, nanos(r.P50), nanos(r.P99), r.Rate, nanos(r.CPU),
						r.RatioP50, r.RatioTime, r.RatioCPU)
				}
			}
		}
	}
	for _, s := range n.Starts {
		t.line("\n%s: %.2f MiB packed, starts in %s, with cached code in %s; an instance has %.1f MiB of memory", s.Subject,
			float64(s.Packed)/(1<<20), nanos(s.Cold), nanos(s.Cached), float64(s.Memory)/(1<<20))
	}
	for _, b := range networkPeers() {
		for _, p := range b.peers {
			if note := n.Notes[p.name]; note != "" {
				t.line("%s: %s", p.name, note)
			}
		}
	}
}

// judgeNetwork gives a verdict on each target of engines that reach a server.
func judgeNetwork(n *networkResult, add func(met bool, target, found string, args ...any)) {
	for _, pair := range [][2]string{{nameRedisEngine, nameSCSRedis}, {namePostgresEngine, nameSCSPostgres}} {
		ours, theirs := pair[0], pair[1]
		if r := n.find(theirs, opWrite.String(), 1); r != nil {
			got := 1 / r.RatioP50
			add(got <= targetNetworkLatency, fmt.Sprintf("%s: a request that reads and writes, alone, within %g times of %s", ours, targetNetworkLatency, theirs),
				"%.2f times", got)
		}
		if r := n.find(theirs, opWrite.String(), targetNetworkCallers); r != nil {
			add(r.RatioTime >= targetNetworkThroughput, fmt.Sprintf("%s: %d callers, at least %g times the requests of %s", ours, targetNetworkCallers, targetNetworkThroughput, theirs),
				"%.2f times", r.RatioTime)
			if r.RatioCPU > 0 {
				got := 1 / r.RatioCPU
				add(got <= targetNetworkCPU, fmt.Sprintf("%s: %d callers, at most %g of the processor time of %s", ours, targetNetworkCallers, targetNetworkCPU, theirs),
					"%.2f of it", got)
			}
		}
	}
	for _, s := range n.Starts {
		add(s.Cached <= float64(targetNetworkStart), fmt.Sprintf("%s: starts with cached code within %v", s.Subject, targetNetworkStart), "%s", nanos(s.Cached))
		if s.Subject == nameRedisEngine {
			add(s.Packed <= 1_000_000, fmt.Sprintf("%s: at most 1 MB packed", s.Subject), "%.2f MB", float64(s.Packed)/1e6)
		}
	}
}

// find returns nil if there is no such row.
func (n *networkResult) find(subject, operation string, callers int) *networkRow {
	for i := range n.Rows {
		if r := &n.Rows[i]; r.Subject == subject && r.Operation == operation && r.Callers == callers {
			return r
		}
	}
	return nil
}
