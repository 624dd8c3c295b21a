package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// fleetResult is what a number of tenants of one guest takes.
type fleetResult struct {
	Guest   string `json:"guest"`
	Way     string `json:"way"`
	Tenants int    `json:"tenants"`

	Filled fleetMemory  `json:"filled"` // with sessions
	Asleep *fleetMemory `json:"asleep,omitempty"`
	First  fleetMemory  `json:"first"` // after one request to each that slept
	Warm   fleetMemory  `json:"warm"`  // after many

	New     quantiles      `json:"new"`            // from opening a tenant to its first answer
	Wake    *quantiles     `json:"wake,omitempty"` // a request to one that sleeps
	Traffic *trafficResult `json:"traffic,omitempty"`
}

// fleetMemory is what a process has taken more than before there were tenants.
type fleetMemory struct {
	processMemory
	PerTenant int64 `json:"per_tenant"` // bytes of Resident and Tables
}

// quantiles are nanoseconds.
type quantiles struct {
	Count        int     `json:"count"`
	P50          float64 `json:"p50"`
	P99          float64 `json:"p99"`
	ProcessorP50 float64 `json:"processor_p50"`
	ProcessorP99 float64 `json:"processor_p99"`
}

func (t *stopwatch) quantiles() quantiles {
	return quantiles{len(t.clock), quantile(t.clock, 0.5), quantile(t.clock, 0.99), quantile(t.processor, 0.5), quantile(t.processor, 0.99)}
}

// cpuOrClock is how long most take by what targets are judged by.
func (q quantiles) cpuOrClock() (p50, p99 float64) {
	if q.ProcessorP50 > 0 {
		return q.ProcessorP50, q.ProcessorP99
	}
	return q.P50, q.P99
}

// runFleet brings tenants up, puts them to sleep and wakes them, and measures memory in
// each state.
func runFleet(ctx context.Context, g tenantGuest, way tenantWay, n int, e tenantEffort) (_ *fleetResult, err error) {
	result := &fleetResult{Guest: g.name, Way: string(way), Tenants: n}
	f, err := newFleet(ctx, g, way, n, e.sessions, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	before := measureMemory()
	grown := func() fleetMemory {
		m := measureMemory().minus(before)
		return fleetMemory{m, (m.Resident + m.Tables) / int64(n)}
	}
	took, err := f.populate(ctx)
	if err != nil {
		return nil, err
	}
	result.New, result.Filled = took.quantiles(), grown()
	switch err := f.sleep(ctx); {
	case err == nil:
		asleep := grown()
		result.Asleep = &asleep
	case !errors.Is(err, store.ErrUnsupported):
		return nil, err
	}
	if took, err = f.each(1); err != nil {
		return nil, err
	}
	result.First = grown()
	if result.Asleep != nil {
		wake := took.quantiles()
		result.Wake = &wake
	}
	if _, err := f.each(e.requests); err != nil {
		return nil, err
	}
	result.Warm = grown()
	if err := f.verify(); err != nil {
		return nil, err
	}
	if way != wayOwn {
		if result.Traffic, err = runTraffic(ctx, g, way, n, e); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// trafficResult is how tenants answer when most requests are for few of them, and not
// all can be awake.
type trafficResult struct {
	quantiles
	PerSecond float64     `json:"per_second"`
	Memory    fleetMemory `json:"memory"` // afterwards
}

// skew is how uneven the traffic is: the exponent of Zipf's law.
const skew = 1.1

// runTraffic makes requests to tenants by Zipf's law.
func runTraffic(ctx context.Context, g tenantGuest, way tenantWay, n int, e tenantEffort) (_ *trafficResult, err error) {
	f, err := newFleet(ctx, g, way, n, e.sessions, e.awake)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close(ctx)) }()
	before := measureMemory()
	if _, err := f.populate(ctx); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, skew, 1, uint64(n-1))
	order := random.Perm(n) // which tenants are asked most is not when they were opened
	var took stopwatch
	began := time.Now()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range e.traffic {
		t := order[zipf.Uint64()]
		f.aim(t, random.IntN(e.sessions))
		op := opRead
		if i%5 == 4 {
			op = opWrite
		}
		_ = took.measure(func() error { f.request(t, op); return nil })
	}
	elapsed := time.Since(began)
	m := measureMemory().minus(before)
	result := &trafficResult{took.quantiles(), float64(e.traffic) / elapsed.Seconds(), fleetMemory{m, (m.Resident + m.Tables) / int64(n)}}
	return result, errors.Join(f.faults.err(), f.verify())
}
