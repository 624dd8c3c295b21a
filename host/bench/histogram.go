package main

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most 1.6 % wide, so that
// millions of single operations can be recorded without memory being
// allocated meanwhile. The greatest is kept exactly. Durations above 2^40 ns
// (18 minutes) count as that.
type histogram struct {
	counts [(histogramTop + 1) << histogramBits]uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
	over   [len(histogramMarks)]uint64
}

// histogramMarks are durations for which it is counted how often they were
// exceeded.
var histogramMarks = [...]time.Duration{time.Millisecond, 5 * time.Millisecond}

const (
	histogramBits = 6 // of precision
	histogramTop  = 40 - histogramBits
)

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.n++
	h.sum += max(d, 0)
	if d > histogramMarks[0] {
		for i, mark := range histogramMarks {
			if d > mark {
				h.over[i]++
			}
		}
	}
	h.max = max(h.max, d)
}

// merge adds what another one counted.
func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	for i, n := range o.over {
		h.over[i] += n
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// quantile returns the least duration that the share q of all does not exceed,
// rounded up to its bucket's end.
func (h *histogram) quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(h.n))), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(bucketEnd(i), h.max)
		}
	}
	return h.max
}

// bucket: numbers below 2^histogramBits have one each; above, each power of two is
// divided into so many.
func bucket(v uint64) int {
	shift := bits.Len64(v) - histogramBits - 1
	if shift < 0 {
		return int(v)
	}
	if shift >= histogramTop {
		return (histogramTop+1)<<histogramBits - 1
	}
	return (shift+1)<<histogramBits + int(v>>shift) - 1<<histogramBits
}

// bucketEnd is the greatest number in a bucket.
func bucketEnd(i int) time.Duration {
	if i < 1<<histogramBits {
		return time.Duration(i)
	}
	shift := i>>histogramBits - 1
	low := uint64(i&(1<<histogramBits-1)|1<<histogramBits) << shift
	return time.Duration(low + 1<<shift - 1)
}
