// Package loadtest compares stores by operations per second and by the time of each
// operation. Rounds of all stores take turns, so that a disturbance of the machine
// affects all of them.
package loadtest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Operation is a measured operation.
type Operation string

// The operations. Each uses an existing record, chosen at random among the worker's
// own.
const (
	Get    Operation = "get"
	Set    Operation = "set"
	GetSet Operation = "get+set" // a read, and a write if nobody wrote meanwhile
	Mix    Operation = "mix"     // nine reads to one such pair
)

// Operations returns all operations.
func Operations() []Operation { return []Operation{Get, Set, GetSet, Mix} }

// Target is a store to measure.
type Target struct {
	Name string
	// Open opens the store, empty, with a number of shards; 0 means the store's own
	// choice.
	Open func(ctx context.Context, shards int) (Opened, error)
	// OpenMetered opens it so that it tells its fuel, if Open does not. It may be nil.
	OpenMetered func(ctx context.Context, shards int) (Opened, error)
}

// Opened is a store that has been opened.
type Opened struct {
	Store store.Store
	// Shards is the number of shards.
	Shards int
	// MaxValue is the largest value in bytes that it accepts.
	MaxValue int
	// Fuel tells how much fuel all operations have used so far. It is nil if the store
	// is not metered.
	Fuel func() uint64
	// Close closes the store and removes its files.
	Close func() error
}

// Plan is what to measure: all combinations of these.
type Plan struct {
	// Targets are measured in turns; the first is compared with the second.
	Targets     []Target
	Operations  []Operation
	ValueSizes  []int // bytes, including 8 of revision
	Shards      []int
	Concurrency []int // workers at once
	// Duration is the time per target and figure, in Rounds of equal length.
	Duration time.Duration
	Rounds   int
	// Progress is called before each round; it may be nil.
	Progress func(done, total int, figure Figure)
}

// Report is the result of a run.
type Report struct {
	Module      string        `json:"module"`
	Against     string        `json:"against,omitempty"`
	Go          string        `json:"go"`
	Platform    string        `json:"platform"`
	Processors  int           `json:"processors"`
	Duration    time.Duration `json:"duration_ns"` // of each figure of each store
	Rounds      int           `json:"rounds"`
	Clock       time.Duration `json:"clock_ns"` // the cost of reading the clock, part of every operation
	Interrupted bool          `json:"interrupted"`
	Figures     []Figure      `json:"figures"`
}

// Figure is the result for one combination.
type Figure struct {
	Operation   Operation `json:"operation"`
	ValueSize   int       `json:"value_size"`
	Shards      int       `json:"shards"` // requested; 0 for the stores' own choice
	Concurrency int       `json:"concurrency"`
	Records     int       `json:"records"` // stored
	Skipped     string    `json:"skipped,omitempty"`
	Results     []Result  `json:"results"` // in the order of the targets
	// Ratio is the first target's operations per second divided by the second's:
	// the median of rounds, with the least and the most. It is nil if there is no
	// second target or something failed.
	Ratio *Ratio `json:"ratio,omitempty"`
}

// Ratio is a median with its extremes.
type Ratio struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// Result is the result of one store.
type Result struct {
	Target string `json:"target"`
	Shards int    `json:"shards"` // actual number
	// OpsPerSecond is the median of Rounds.
	OpsPerSecond float64   `json:"ops_per_second"`
	Rounds       []float64 `json:"rounds"`
	Latency      Latency   `json:"latency"`
	Operations   uint64    `json:"operations"`
	// Fuel is what one operation used, counted apart from the rounds, by one worker. It
	// is nil if the store does not tell.
	Fuel *Fuel `json:"fuel,omitempty"`
	// Missing counts reads of records that the store had dropped to make room.
	Missing uint64 `json:"missing"`
	// Errors counts operations that failed, with the first one's text.
	Errors uint64 `json:"errors"`
	Error  string `json:"error,omitempty"`
}

// Latency is the time of operations, to within 1.6 per cent; Max is exact.
type Latency struct {
	P50  time.Duration `json:"p50_ns"`
	P90  time.Duration `json:"p90_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
}

// Failed counts the failed operations of all stores and returns the first error.
func (r *Report) Failed() (n uint64, first string) {
	for _, f := range r.Figures {
		for _, result := range f.Results {
			if n += result.Errors; first == "" && result.Error != "" {
				first = fmt.Sprintf("%s: %s", result.Target, result.Error)
			}
		}
	}
	return n, first
}

// newReport returns a report that describes the machine and the plan.
func newReport(p *Plan) *Report {
	r := &Report{Module: p.Targets[0].Name, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Processors: runtime.GOMAXPROCS(0), Duration: p.Duration, Rounds: p.Rounds, Clock: clockCost(), Figures: []Figure{}}
	if len(p.Targets) > 1 {
		r.Against = p.Targets[1].Name
	}
	return r
}

// clockCost measures the cost of reading the clock.
func clockCost() time.Duration {
	const n = 1000
	var best time.Duration
	for range 10 {
		start := time.Now()
		for range n {
			_ = time.Since(start)
		}
		if took := time.Since(start); best == 0 || took < best {
			best = took
		}
	}
	return best / n
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
