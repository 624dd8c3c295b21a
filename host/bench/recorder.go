package main

import (
	"time"

	"github.com/waddle-sessions/waddle/host/internal/histogram"
)

// recorder times single operations, by wall-clock time and by the thread's
// processor time. The first is what a caller waits, including stalls of the
// machine and of the scheduler. The second is what the operation itself does. Its
// user is locked to a thread.
type recorder struct {
	clock        histogram.Histogram
	maxProcessor time.Duration
	over         [len(marks)]uint64
	began        time.Time
	used         time.Duration
}

// marks are durations; the recorder counts how often each is exceeded.
var marks = [...]time.Duration{time.Millisecond, 5 * time.Millisecond}

// begin returns the time at which the operation begins.
func (r *recorder) begin() time.Time {
	r.used = threadTime()
	r.began = time.Now()
	return r.began
}

// end must be called right after the operation.
func (r *recorder) end() {
	r.add(time.Since(r.began), threadTime()-r.used)
}

func (r *recorder) add(clock, processor time.Duration) {
	r.clock.Add(clock)
	for i, mark := range marks {
		if clock > mark {
			r.over[i]++
		}
	}
	r.maxProcessor = max(r.maxProcessor, processor)
}

func (r *recorder) merge(o *recorder) {
	r.clock.Merge(&o.clock)
	for i, n := range o.over {
		r.over[i] += n
	}
	r.maxProcessor = max(r.maxProcessor, o.maxProcessor)
}

// latency describes many single operations. Times are nanoseconds.
type latency struct {
	Operations uint64        `json:"operations"`
	Total      time.Duration `json:"total_ns"` // of all of them
	P50        time.Duration `json:"p50_ns"`
	P99        time.Duration `json:"p99_ns"`
	P999       time.Duration `json:"p999_ns"`
	Max        time.Duration `json:"max_ns"`
	Over1ms    uint64        `json:"over_1ms"`
	Over5ms    uint64        `json:"over_5ms"`

	// MaxProcessor is the maximum in processor time, or 0 if that is unknown.
	MaxProcessor time.Duration `json:"max_processor_ns"`
}

func (r *recorder) latency() latency {
	c := &r.clock
	return latency{Operations: c.Count(), Total: c.Sum(), P50: c.Quantile(0.5), P99: c.Quantile(0.99), P999: c.Quantile(0.999),
		Max: c.Max(), Over1ms: r.over[0], Over5ms: r.over[1], MaxProcessor: r.maxProcessor}
}

// processorOrClock is the maximum in processor time or, if that is unknown, of the clock.
func (l latency) processorOrClock() time.Duration {
	if l.MaxProcessor > 0 {
		return l.MaxProcessor
	}
	return l.Max
}
