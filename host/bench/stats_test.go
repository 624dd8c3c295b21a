package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"one", []float64{7}, 0.5, 7},
		{"odd, unsorted", []float64{9, 1, 5}, 0.5, 5},
		{"even", []float64{4, 1, 3, 2}, 0.5, 2.5},
		{"least", []float64{4, 1, 3, 2}, 0, 1},
		{"greatest", []float64{4, 1, 3, 2}, 1, 4},
		{"quartile", []float64{50, 10, 20, 30, 40}, 0.25, 20},
		{"between", []float64{10, 20}, 0.75, 17.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.values)
			require.InDelta(t, c.want, quantile(c.values, c.q), 1e-9)
			require.Equal(t, before, c.values, "the values keep their order")
		})
	}
	require.True(t, math.IsNaN(median(nil)))
}

// A machine that is slower for some rounds changes every figure but no ratio.
func TestRatiosCancelDrift(t *testing.T) {
	drift := []float64{1, 1, 5, 1, 30, 2, 1}
	ours, theirs := make([]float64, len(drift)), make([]float64, len(drift))
	for i, d := range drift {
		ours[i], theirs[i] = 2*d, 24*d
	}
	require.InDelta(t, 12, median(ratios(theirs, ours)), 1e-9)
	require.Len(t, ratios([]float64{1, 2, 3}, []float64{1, 2}), 2)
}

func TestRows(t *testing.T) {
	r := results{
		{cellName: cellName{Subject: "a", Operation: "read", Cores: 1}, ns: []float64{10, 30, 20}, cpu: []float64{8, 9, 10}, allocs: []float64{2, 2, 3}, bytes: []float64{64, 64, 64}},
		{cellName: cellName{Subject: "a", Operation: "read", Cores: 2}, ns: []float64{5, 20, 10}},
		{cellName: cellName{Subject: "b", Operation: "read", Cores: 1}, ns: []float64{30, 60, 80}, cpu: []float64{16, 36, 50}},
		{cellName: cellName{Subject: "b", Operation: "write", Cores: 1}, ns: []float64{1, 1, 1}},
	}
	rows := r.rows("a")
	one := findRow(rows, "a", "read", 1)
	require.Equal(t, 20.0, one.NS)
	require.Equal(t, 15.0, one.Low)
	require.Equal(t, 25.0, one.High)
	require.Equal(t, 2.0, one.Allocs)
	require.Equal(t, 64.0, one.Bytes)
	require.Equal(t, 1.0, one.Ratios["a"])
	require.Zero(t, one.Scaling)
	require.Equal(t, 2.0, findRow(rows, "a", "read", 2).Scaling)
	require.Equal(t, 3.0, findRow(rows, "b", "read", 1).Ratios["a"])
	require.Equal(t, 9.0, one.CPU)
	require.Equal(t, 4.0, findRow(rows, "b", "read", 1).RatiosCPU["a"])
	require.Equal(t, 4.0, findRow(rows, "b", "read", 1).cost("a"), "processor time takes precedence over wall-clock time")
	delete(findRow(rows, "b", "read", 1).RatiosCPU, "a")
	require.Equal(t, 3.0, findRow(rows, "b", "read", 1).cost("a"))
	require.Empty(t, findRow(rows, "b", "write", 1).Ratios, "nothing of ours to compare with")
	require.Nil(t, findRow(rows, "b", "write", 2))
}

// What two workers recorded is reported as one.
func TestRecordersAreMerged(t *testing.T) {
	var halves [2]recorder
	for i := range 10_000 {
		halves[i%2].add(time.Duration(i)*time.Microsecond, time.Duration(i))
	}
	halves[0].merge(&halves[1])
	l := halves[0].latency()
	require.Equal(t, uint64(10_000), l.Operations)
	require.Equal(t, 10_000*9_999/2*time.Microsecond, l.Total)
	require.InEpsilon(t, 5*time.Millisecond, l.P50, 0.02)
	require.InEpsilon(t, 9900*time.Microsecond, l.P99, 0.02)
	require.Equal(t, 9999*time.Microsecond, l.Max)
	require.Equal(t, uint64(10_000-1001), l.Over1ms)
	require.Equal(t, uint64(10_000-5001), l.Over5ms)
	require.Equal(t, time.Duration(9999), l.MaxProcessor)
}
