package plugin_test

import (
	"runtime/metrics"
	"time"
)

// stops measures how long the world took to stop for collections since it was made.
type stops struct{ before []uint64 }

const stopsMetric = "/sched/pauses/stopping/gc:seconds"

func newStops() stops { return stops{stopsSoFar().Counts} }

func stopsSoFar() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: stopsMetric}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	h.Counts = append([]uint64(nil), h.Counts...)
	return h
}

// longest is the upper bound of the longest stop.
func (s stops) longest() (d time.Duration) {
	h := stopsSoFar()
	for i, n := range h.Counts {
		if n > s.before[i] {
			d = time.Duration(min(h.Buckets[i+1], 3600) * float64(time.Second))
		}
	}
	return d
}
