package main

import "time"

// recorder times single operations, by the clock and by the processor time of the
// thread. The one is what a caller waits, stalls of the machine and of the
// scheduler included; the other is what the operation itself does. Its user is
// locked to a thread.
type recorder struct {
	clock, processor histogram
	began            time.Time
	used             time.Duration
}

// begin returns the time at which the operation begins.
func (r *recorder) begin() time.Time {
	r.used = threadTime()
	r.began = time.Now()
	return r.began
}

// end follows the operation at once.
func (r *recorder) end() {
	r.clock.add(time.Since(r.began))
	r.processor.add(threadTime() - r.used)
}

func (r *recorder) merge(o *recorder) {
	r.clock.merge(&o.clock)
	r.processor.merge(&o.processor)
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

	// MaxProcessor is the worst in processor time; 0 where that is not known.
	MaxProcessor time.Duration `json:"max_processor_ns"`
}

func (r *recorder) latency() latency {
	c := &r.clock
	return latency{Operations: c.n, Total: c.sum, P50: c.quantile(0.5), P99: c.quantile(0.99), P999: c.quantile(0.999), Max: c.max,
		Over1ms: c.over[0], Over5ms: c.over[1], MaxProcessor: r.processor.max}
}
