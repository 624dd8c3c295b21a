package main

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// cellName is what is known of a cell without running it.
type cellName struct {
	Subject   string `json:"subject"`
	Operation string `json:"operation"`
	Cores     int    `json:"cores"`

	// Waits says that operations wait for a disk: batches are then sized by
	// wall-clock time, since little of the time is processor time.
	Waits bool `json:"waits,omitempty"`
	// Uncollected says that no garbage is collected between batches.
	Uncollected bool `json:"uncollected,omitempty"`
}

// cell is one thing to measure with one number of cores.
type cell struct {
	cellName
	workers int // goroutines

	// before, if it is not nil, is called before each batch and not timed.
	before func()
	// run does an operation n times. Each worker, numbered from 0, calls it many
	// times.
	run func(worker, n int)
	// settle, if it is not nil, is the end of a batch that takes a given time.
	settle func()

	// remote is sample in the process of the subject, instead of all of these.
	remote func(n int, span time.Duration) (int, usage, error)
}

// plan says how long to measure.
type plan struct {
	rounds int
	span   time.Duration // of one cell in one round
}

// samples are the results of the rounds of one cell, per operation.
type samples struct {
	cellName
	n                      []int // operations
	ns, cpu, allocs, bytes []float64
}

// measure runs all cells round by round, so that the cells of one round share the
// state of the machine. Each round has an order of its own, because what one cell
// leaves behind, in caches and in the heap, slows down the next. The cells of one
// subject and operation, which differ in the cores, stay together.
func measure(cells []cell, p plan) ([]samples, error) {
	batch := make([]int, len(cells))
	for i, c := range cells {
		var err error
		if batch[i], err = calibrate(c, p.span); err != nil {
			return nil, err
		}
	}
	return rounds(cells, p, func(i int) (int, usage, error) { return cells[i].sample(batch[i], 0) })
}

// sustain runs each cell for span in each round, however many operations that is,
// and then settles it. It is for subjects that do something only from time to time: a
// batch must be long enough to include its share of that.
func sustain(cells []cell, p plan) ([]samples, error) {
	return rounds(cells, p, func(i int) (int, usage, error) { return cells[i].sample(0, p.span) })
}

func rounds(cells []cell, p plan, sample func(cell int) (int, usage, error)) ([]samples, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	all := make([]samples, len(cells))
	for i, c := range cells {
		all[i].cellName = c.cellName
	}
	groups := group(cells)
	for range p.rounds {
		for _, g := range rand.Perm(len(groups)) {
			for _, i := range groups[g] {
				n, used, err := sample(i)
				if err != nil {
					return nil, err
				}
				all[i].add(n, used)
			}
		}
	}
	return all, nil
}

// group returns the numbers of the cells that belong together.
func group(cells []cell) (groups [][]int) {
	for i, c := range cells {
		if i > 0 && c.Subject == cells[i-1].Subject && c.Operation == cells[i-1].Operation {
			last := &groups[len(groups)-1]
			*last = append(*last, i)
		} else {
			groups = append(groups, []int{i})
		}
	}
	return groups
}

// A batch must pay for the collection of its own garbage. One that makes garbage, but
// little, is lengthened until so many collections are in it, up to so many times the
// span.
const (
	collections = 2
	lengthened  = 3
	garbage     = 256 << 10 // bytes; less would never be collected
)

// calibrate warms the cell up and returns how many operations take about span, or
// longer if that is too short for the collector. It uses the fastest of several tries:
// a stall of the machine must not make a batch so small that its overhead is measured.
func calibrate(c cell, span time.Duration) (int, error) {
	for n := 1; ; n *= 2 {
		took, enough := time.Duration(math.MaxInt64), true
		for range 5 {
			_, u, err := c.sample(n, 0)
			if err != nil {
				return 0, err
			}
			took, enough = min(took, c.size(u)), c.Waits || c.Uncollected || u.Bytes < garbage || u.Collected >= collections
			if took < span/2 {
				break
			}
		}
		if took >= span*lengthened/2 || took >= span/2 && enough {
			longest := max(span, min(took, span*lengthened))
			return max(1, int(float64(n)*float64(longest)/float64(took))), nil
		}
	}
}

// size is the time of a batch that decides the size of batches.
func (c cell) size(u usage) time.Duration {
	if c.Waits {
		return u.Took
	}
	return u.undisturbed()
}

// usage is what a batch of operations took.
type usage struct {
	Took      time.Duration `json:"took"`
	CPU       time.Duration `json:"cpu"` // of the whole process, 0 if unknown
	Mallocs   uint64        `json:"mallocs"`
	Bytes     uint64        `json:"bytes"`
	Collected uint32        `json:"collected"` // how often garbage was
}

// undisturbed is the wall-clock time or, if others kept the process waiting for a
// core, the processor time: a batch must be long enough to pay for the collection
// of its garbage, however busy the machine was when it was sized.
func (u usage) undisturbed() time.Duration {
	if u.CPU > 0 {
		return min(u.Took, u.CPU)
	}
	return u.Took
}

// sample measures one batch, of n operations or of a span, starting without garbage
// from others. It returns how many operations it was.
func (c cell) sample(n int, span time.Duration) (int, usage, error) {
	if c.remote != nil {
		return c.remote(n, span)
	}
	var took time.Duration
	u := c.measured(func() {
		if span > 0 {
			n, took = c.lasting(span)
		} else {
			took = c.batch(n)
		}
	})
	u.Took = took
	return n, u, nil
}

// measured measures what work takes, starting without garbage from others.
func (c cell) measured(work func()) usage {
	runtime.GOMAXPROCS(c.Cores)
	if c.before != nil {
		c.before()
	}
	if !c.Uncollected {
		runtime.GC()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := processTime()
	work()
	cpu = processTime() - cpu
	runtime.ReadMemStats(&after)
	return usage{CPU: cpu, Mallocs: after.Mallocs - before.Mallocs, Bytes: after.TotalAlloc - before.TotalAlloc, Collected: after.NumGC - before.NumGC}
}

// portion is how many operations go between two looks at the clock.
const portion = 16

// lasting does operations for a span, and settles.
func (c cell) lasting(span time.Duration) (n int, took time.Duration) {
	start := time.Now()
	for ; time.Since(start) < span; n += portion {
		c.run(0, portion)
	}
	if c.settle != nil {
		c.settle()
	}
	return n, time.Since(start)
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
	s.n = append(s.n, n)
	s.ns = append(s.ns, float64(u.Took.Nanoseconds())/float64(n))
	s.cpu = append(s.cpu, float64(u.CPU.Nanoseconds())/float64(n))
	s.allocs = append(s.allocs, float64(u.Mallocs)/float64(n))
	s.bytes = append(s.bytes, float64(u.Bytes)/float64(n))
}
