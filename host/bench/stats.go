package main

import (
	"math"
	"slices"
)

// median returns the middle of the values, or NaN if there are none.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns the value below which the share q of the values lie, with
// linear interpolation between neighbours, or NaN if there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// ratios divides round by round. A slowdown of the whole machine slows both
// sides of a pair, and so cancels out.
func ratios(of, to []float64) []float64 {
	n := min(len(of), len(to))
	r := make([]float64, n)
	for i := range n {
		r[i] = of[i] / to[i]
	}
	return r
}
