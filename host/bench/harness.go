package main

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// cell is one thing to measure with one number of cores.
type cell struct {
	subject   string
	operation string
	cores     int
	workers   int // goroutines

	// waits says that operations wait for a disk: batches are then sized by
	// wall-clock time, since little of the time is processor time.
	waits bool
	// before, if it is not nil, is called before each batch and not timed.
	before func()

	// run does an operation n times. Each worker, numbered from 0, calls it many
	// times.
	run func(worker, n int)
}

// plan says how long to measure.
type plan struct {
	rounds int
	span   time.Duration // of one cell in one round
}

// samples are the results of the rounds of one cell, per operation.
type samples struct {
	cell
	ns, cpu, allocs, bytes []float64
}

// measure runs all cells round by round, so that the cells of one round share the
// state of the machine. Each round has an order of its own, because what one cell
// leaves behind, in caches and in the heap, slows down the next. The cells of one
// subject and operation, which differ in the cores, stay together.
func measure(cells []cell, p plan) []samples {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	all := make([]samples, len(cells))
	batch := make([]int, len(cells))
	for i, c := range cells {
		all[i].cell = c
		batch[i] = calibrate(c, p.span)
	}
	groups := group(cells)
	for range p.rounds {
		for _, g := range rand.Perm(len(groups)) {
			for _, i := range groups[g] {
				all[i].add(batch[i], sample(cells[i], batch[i]))
			}
		}
	}
	return all
}

// group returns the numbers of the cells that belong together.
func group(cells []cell) (groups [][]int) {
	for i, c := range cells {
		if i > 0 && c.subject == cells[i-1].subject && c.operation == cells[i-1].operation {
			last := &groups[len(groups)-1]
			*last = append(*last, i)
		} else {
			groups = append(groups, []int{i})
		}
	}
	return groups
}

// calibrate warms the cell up and returns how many operations take about span. It
// uses the fastest of several tries: a stall of the machine must not make a batch
// so small that its overhead is measured.
func calibrate(c cell, span time.Duration) int {
	for n := 1; ; n *= 2 {
		took := c.size(sample(c, n))
		for range 4 {
			if took < span/2 {
				break
			}
			took = min(took, c.size(sample(c, n)))
		}
		if took >= span/2 {
			return max(1, int(float64(n)*float64(span)/float64(took)))
		}
	}
}

// size is the time of a batch that decides the size of batches.
func (c cell) size(u usage) time.Duration {
	if c.waits {
		return u.took
	}
	return u.undisturbed()
}

// usage is what a batch of operations took.
type usage struct {
	took           time.Duration
	cpu            time.Duration // of the whole process, 0 if unknown
	mallocs, bytes uint64
}

// undisturbed is the wall-clock time or, if others kept the process waiting for a
// core, the processor time: a batch must be long enough to pay for the collection
// of its garbage, however busy the machine was when it was sized.
func (u usage) undisturbed() time.Duration {
	if u.cpu > 0 {
		return min(u.took, u.cpu)
	}
	return u.took
}

// sample measures one batch, starting without garbage from others.
func sample(c cell, n int) usage {
	var took time.Duration
	u := c.measured(func() { took = c.batch(n) })
	u.took = took
	return u
}

// measured measures what work takes, starting without garbage from others.
func (c cell) measured(work func()) usage {
	runtime.GOMAXPROCS(c.cores)
	if c.before != nil {
		c.before()
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := processTime(), time.Now()
	work()
	took := time.Since(start)
	cpu = processTime() - cpu
	runtime.ReadMemStats(&after)
	return usage{took, cpu, after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc}
}

// sustain runs each cell for span in each round, however many operations that is,
// and then end. It is for subjects that do something only from time to time: a
// batch must be long enough to include its share of that.
func sustain(cells []cell, p plan, end func(cell int)) []samples {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	const portion = 16
	all := make([]samples, len(cells))
	for i, c := range cells {
		all[i].cell = c
		c.run(0, portion)
	}
	for range p.rounds {
		for _, i := range rand.Perm(len(cells)) {
			n := 0
			used := cells[i].measured(func() {
				for start := time.Now(); time.Since(start) < p.span; n += portion {
					cells[i].run(0, portion)
				}
				end(i)
			})
			all[i].add(n, used)
		}
	}
	return all
}

// batch divides n operations among the workers. They take small portions until none
// is left, so that a delayed worker does not delay the end.
func (c cell) batch(n int) time.Duration {
	if c.workers == 1 {
		start := time.Now()
		c.run(0, n)
		return time.Since(start)
	}
	portion := max(1, n/(16*c.workers))
	var (
		left  atomic.Int64
		begin = make(chan struct{})
		done  sync.WaitGroup
	)
	left.Store(int64(n))
	for worker := range c.workers {
		done.Go(func() {
			<-begin
			for {
				rest := left.Add(-int64(portion)) + int64(portion)
				if rest <= 0 {
					return
				}
				c.run(worker, min(portion, int(rest)))
			}
		})
	}
	start := time.Now()
	close(begin)
	done.Wait()
	return time.Since(start)
}

func (s *samples) add(n int, u usage) {
	s.ns = append(s.ns, float64(u.took.Nanoseconds())/float64(n))
	s.cpu = append(s.cpu, float64(u.cpu.Nanoseconds())/float64(n))
	s.allocs = append(s.allocs, float64(u.mallocs)/float64(n))
	s.bytes = append(s.bytes, float64(u.bytes)/float64(n))
}
