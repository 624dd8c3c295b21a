// Package histogram counts durations, so that millions of single operations can be
// recorded while they are measured.
package histogram

import (
	"math"
	"math/bits"
	"time"
)

// Histogram counts durations in buckets that are at most a 64th of their size wide:
// 64 for each power of two. It keeps the maximum and the sum exactly. Keeping and
// sorting samples would give exact quantiles, but would take eight bytes each, some
// tens of megabytes a second. That would burden the garbage collector and the
// caches, and so disturb what is measured.
//
// The zero value is ready to use, by one goroutine at a time. A negative duration
// counts as 0.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	sum    time.Duration
	max    time.Duration
}

// Add counts a duration. It allocates nothing.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.sum += d
	h.max = max(h.max, d)
}

// Merge adds what another histogram counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Sum returns the sum of all.
func (h *Histogram) Sum() time.Duration { return h.sum }

// Max returns the longest duration, 0 if there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns a duration that the share q of all does not exceed: the end of
// the bucket where that share is reached, or the maximum if that is less.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(h.total))), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(time.Duration(leastOf(i+1)-1), h.max)
		}
	}
	return h.max
}

const (
	stepBits = 6
	steps    = 1 << stepBits
	buckets  = (64 - stepBits) * steps // the last of which begin above any duration
)

// bucketOf returns the bucket of a number. Below 64 each number has its own; above,
// the six bits after the highest one choose within a power of two.
func bucketOf(n uint64) int {
	if n < steps {
		return int(n)
	}
	shift := bits.Len64(n) - stepBits - 1
	return shift*steps + int(n>>shift)
}

// leastOf returns the smallest number of a bucket.
func leastOf(bucket int) uint64 {
	if bucket < steps {
		return uint64(bucket)
	}
	shift := bucket/steps - 1
	return uint64(bucket-shift*steps) << shift
}
