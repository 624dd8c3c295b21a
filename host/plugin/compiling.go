package plugin

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
)

// compiling bounds how many modules a host compiles at once. Each keeps one core busy and
// takes up to Limits.CompileMemory, and nothing interrupts wazero's compiler. So cores are
// left to those who serve. One place is for modules that compile quickly alone, so that
// they wait for none that takes long.
type compiling struct {
	most    int           // less than 0 for no bound
	set     bool          // by the config, and not from the number of cores
	quick   int64         // up to which estimate a module compiles quickly
	long    chan struct{} // held by modules that are not quick, before they wait for a place
	places  chan struct{} // held by all
	running atomic.Int64
}

// Estimates up to which a module is quick: two seconds of a core or, where those who serve
// would lose their last one, a tenth.
const (
	quickCost     = 50_000_000
	quickLastCost = 2_500_000
)

func newCompiling(most, cores int) *compiling {
	c := &compiling{most: most, set: most != 0, quick: quickCost}
	if most == 0 {
		most = max(1, cores/2)
		c.most = most
	}
	if most+1 >= cores {
		c.quick = quickLastCost
	}
	if most > 0 {
		c.long, c.places = make(chan struct{}, most), make(chan struct{}, most+1)
	}
	return c
}

// enter waits for a place. The caller calls leave when it has compiled.
func (c *compiling) enter(ctx context.Context, cost int64) (leave func(), err error) {
	var held []chan struct{}
	leave = func() {
		c.running.Add(-1)
		for _, places := range held {
			<-places
		}
	}
	c.running.Add(1)
	if c.most < 0 {
		return leave, nil
	}
	wanted := []chan struct{}{c.long, c.places}
	if cost <= c.quick {
		wanted = wanted[1:]
	}
	for _, places := range wanted {
		select {
		case places <- struct{}{}:
			held = append(held, places)
		case <-ctx.Done():
			leave()
			return nil, fmt.Errorf("waiting for others to be compiled first, of which HostConfig.Compiling allows %d at once: %w", c.most, ctx.Err())
		}
	}
	return leave, nil
}

// workers returns how many cores compile a module. It is one, for two reasons: others serve meanwhile, and
// wazero's compiler panics on some modules, from which only the goroutine that called it can recover. Neither
// holds for a module that is part of the program while the host has nothing else to do, as when the
// program starts.
func (h *Host) workers(module Embedded) int {
	if !module.tried() || h.queue.running.Load() > 1 || h.open() > 0 {
		return 1
	}
	cores := runtime.GOMAXPROCS(0)
	if h.queue.set && h.queue.most > 0 {
		return min(cores, h.queue.most)
	}
	return cores
}

func (c *compiling) usage() Usage { return Usage{c.running.Load(), int64(c.most)} }
