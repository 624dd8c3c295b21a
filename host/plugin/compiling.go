package plugin

import (
	"context"
	"fmt"
	"sync/atomic"
)

// compiling bounds how many modules a host compiles at once. Each keeps one core busy and
// takes up to Limits.CompileMemory, and nothing interrupts wazero's compiler. So a core is
// left to those who serve. If there are more cores, a module that compiles quickly has a
// place that no other gets; if not, it waits for what runs, and not for what waits.
type compiling struct {
	most    int           // less than 0 for no bound
	long    chan struct{} // held by modules that are not quick, before they wait for a place
	places  chan struct{} // held by all
	running atomic.Int64
}

// quickCost is up to which estimate a module is quick: two seconds of a core.
const quickCost = 50_000_000

func newCompiling(most, cores int) *compiling {
	if most == 0 {
		most = max(1, cores/2)
	}
	c := &compiling{most: most}
	if most > 0 {
		c.long, c.places = make(chan struct{}, most), make(chan struct{}, max(most, min(most+1, cores-1)))
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
	if cost <= quickCost {
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

func (c *compiling) usage() Usage { return Usage{c.running.Load(), int64(c.most)} }
