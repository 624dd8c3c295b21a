package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// scaleEffort is how much is measured for the page of curves.
type scaleEffort struct {
	plan     plan
	cores    plan
	sessions []int
	sizes    []int
	values   []int
	shards   []int
}

// The curves of the page, named after what grows.
const (
	curveSessions = "sessions"
	curveSize     = "size"
	curveValues   = "values"
	curveShards   = "shards"
	curveCores    = "cores"
)

// scaleRow is one point of one line.
type scaleRow struct {
	Curve     string  `json:"curve"`
	Subject   string  `json:"subject"`
	Operation string  `json:"operation"`
	At        int     `json:"at"`
	NS        float64 `json:"ns"`    // of processor time, or of the clock where others are not known or more cores work
	Ratio     float64 `json:"ratio"` // to the first point, from the same rounds
	Allocs    float64 `json:"allocs"`
	Bytes     float64 `json:"bytes"`
	Memory    float64 `json:"memory_bytes"`                        // of all sessions, with all that the store needs
	Collected float64 `json:"collection_ns,omitempty"`             // processor time of one collection
	Share     float64 `json:"collection_ns_per_request,omitempty"` // which is in NS
}

// runScale measures all curves.
func runScale(ctx context.Context, e scaleEffort) ([]scaleRow, error) {
	code, err := os.MkdirTemp("", "sessions-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(code)
	var all []scaleRow
	both := []string{nameNative, nameWasm}
	one := []int{1}
	add := func(curve string, subjects []string, points, cores []int, of func(n int) scalePoint, together bool) error {
		groups := [][]int{points}
		if !together { // each beside the first, so that there is never more than one large process of each
			groups = [][]int{points[:1]}
			for _, n := range points[1:] {
				groups = append(groups, []int{points[0], n})
			}
		}
		var first []scaleRow
		for i, group := range groups {
			rows, err := measureScale(ctx, curve, subjects, group, cores, of, e.plan)
			if err != nil {
				return fmt.Errorf("%s: %w", curve, err)
			}
			if together || i == 0 {
				first = rows
				all = append(all, rows...)
				continue
			}
			for _, r := range rows {
				if r.At == group[0] {
					continue
				}
				for _, f := range first {
					if f.Subject == r.Subject && f.Operation == r.Operation {
						r.NS = f.NS * r.Ratio
					}
				}
				all = append(all, r)
			}
		}
		return nil
	}
	err = errors.Join(
		add(curveSessions, both, e.sessions, one, func(n int) scalePoint { return scalePoint{Sessions: n, Values: 1, Size: 100, Apart: true} }, false),
		add(curveSize, both, e.sizes, one, func(n int) scalePoint { return scalePoint{Sessions: users, Values: 1, Size: n} }, true),
		add(curveValues, both, e.values, one, func(n int) scalePoint { return scalePoint{Sessions: users, Values: n, Size: 30} }, true),
		add(curveShards, both[1:], e.shards, []int{thisMachine().Cores}, func(n int) scalePoint {
			return scalePoint{Sessions: 10_000, Values: 1, Size: 100, Shards: n}
		}, true),
	)
	if err != nil {
		return nil, err
	}
	cores, err := runCores(ctx, e.cores)
	if err != nil {
		return nil, err
	}
	for _, r := range results(cores).rows() {
		ratio := 1.0
		if r.Cores > 1 {
			ratio = r.Scaling
		}
		subject := r.Subject
		all = append(all, scaleRow{Curve: curveCores, Subject: subject, Operation: r.Operation, At: r.Cores, NS: r.NS, Ratio: ratio, Allocs: r.Allocs, Bytes: r.Bytes})
	}
	return all, nil
}

// measureScale measures some points of a curve side by side.
func measureScale(ctx context.Context, curve string, subjects []string, points, cores []int, of func(n int) scalePoint, p plan) (_ []scaleRow, err error) {
	var assigned []assignment
	for _, subject := range subjects {
		for _, n := range points {
			point := of(n)
			assigned = append(assigned, assignment{Part: partScale, Subject: subject, Cores: cores, Scale: &point})
		}
	}
	workers, err := gather(ctx, assigned)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, workers.close()) }()
	found, err := measure(workers.cells(everyCell), p)
	if err != nil {
		return nil, err
	}
	if err := workers.verify(); err != nil {
		return nil, err
	}
	var rows []scaleRow
	first := map[string][]float64{}
	for i, w := range workers {
		for j := range w.cells {
			s := found[i*len(w.cells)+j]
			r := scaleRow{Curve: curve, Subject: s.Subject, Operation: s.Operation, At: points[i%len(points)],
				Allocs: median(s.allocs), Bytes: median(s.bytes), Memory: w.facts[factMemory], Collected: w.facts[factCollection]}
			times := s.cpu
			if median(times) == 0 || s.Cores > 1 {
				times = s.ns
			}
			if assigned[i].Scale.Apart {
				// A collection is due when as much has been allocated as the last one left.
				r.Share = r.Bytes * w.facts[factCollection] / w.facts[factHeap]
				for k := range times {
					times[k] += r.Share
				}
			}
			if i%len(points) == 0 {
				first[s.Subject+s.Operation] = times
			}
			r.NS, r.Ratio = median(times), median(ratios(times, first[s.Subject+s.Operation]))
			rows = append(rows, r)
		}
	}
	return rows, nil
}

var (
	scaleFull = scaleEffort{
		plan: plan{rounds: 15, span: 16 * time.Millisecond}, cores: plan{rounds: 15, span: 32 * time.Millisecond},
		sessions: []int{1000, 10_000, 100_000, 1_000_000, 10_000_000},
		sizes:    []int{100, 1000, 10_000, 100_000, 1_000_000},
		values:   []int{1, 10, 100, 1000},
		shards:   []int{1, 2, 4, 8, 16},
	}
	scaleQuick = scaleEffort{
		plan: plan{rounds: 3, span: 4 * time.Millisecond}, cores: plan{rounds: 3, span: 8 * time.Millisecond},
		sessions: []int{1000, 10_000, 100_000}, sizes: scaleFull.sizes, values: scaleFull.values, shards: scaleFull.shards,
	}
)
