package loadtest

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose width is a 64th of their size: 64
// to each power of two. Samples kept and sorted would give exact percentiles and
// cost eight bytes each, some tens of megabytes a second, which the garbage
// collector and the caches would feel, and so what is measured.
type histogram struct {
	counts [buckets]uint64
	total  uint64
	max    time.Duration
}

const (
	stepBits = 6
	steps    = 1 << stepBits
	buckets  = (64 - stepBits) * steps
)

// bucketOf returns the bucket of a number: below 64, one to each; above, the
// six bits that follow the highest one choose within a power of two.
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

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// quantile returns a duration that the fraction q of all samples does not
// exceed: the end of the bucket where that is reached, and the largest sample
// if that is less.
func (h *histogram) quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.total)+0.5), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			if i == buckets-1 {
				break
			}
			return min(time.Duration(leastOf(i+1)-1), h.max)
		}
	}
	return h.max
}

func (h *histogram) latency() Latency {
	return Latency{h.quantile(.5), h.quantile(.9), h.quantile(.99), h.quantile(.999), h.max}
}
