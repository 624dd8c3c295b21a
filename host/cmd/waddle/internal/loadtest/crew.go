package loadtest

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/histogram"
	"github.com/waddle-sessions/waddle/host/store"
)

// crew is the set of workers that use one store for one figure. Each has records of
// its own, as each user of a server has a session, so a pair of read and write
// never meets another writer.
type crew struct {
	workers []*worker
}

type worker struct {
	store store.Store
	op    Operation
	keys  [][]byte
	value []byte
	// revision is above the revision of every record the worker may find.
	revision uint64
	random   *rand.Rand

	taken    histogram.Histogram
	missing  uint64
	errors   uint64
	firstErr error
}

func newCrew(s store.Store, figure *Figure, keys [][]byte) *crew {
	c := new(crew)
	for n := range figure.Concurrency {
		w := &worker{store: s, op: figure.Operation, value: make([]byte, figure.ValueSize), revision: 1,
			random: rand.New(rand.NewPCG(uint64(n), 1))}
		for i := range w.value {
			w.value[i] = byte(i)
		}
		for i := n; i < len(keys); i += figure.Concurrency {
			w.keys = append(w.keys, keys[i])
		}
		c.workers = append(c.workers, w)
	}
	return c
}

// round lets all workers work for a time and returns their operations per second.
// It discards the figures of a round that does not count.
func (c *crew) round(ctx context.Context, length time.Duration, counts bool) float64 {
	var wait sync.WaitGroup
	operations := make([]uint64, len(c.workers))
	begun := time.Now()
	for i, w := range c.workers {
		wait.Go(func() { operations[i] = w.work(ctx, begun, length) })
	}
	wait.Wait()
	elapsed := time.Since(begun)
	var sum uint64
	for _, n := range operations {
		sum += n
	}
	if !counts {
		for _, w := range c.workers {
			w.taken, w.missing = histogram.Histogram{}, 0
		}
	}
	return float64(sum) / elapsed.Seconds()
}

// work does operations until the time is over. The end of one is the start of the
// next, so that each reads the clock once.
func (w *worker) work(ctx context.Context, begun time.Time, length time.Duration) (n uint64) {
	started := store.At(begun)
	last := time.Since(begun)
	for {
		now := started + store.Span(last)
		if err := w.do(ctx, w.keys[w.random.IntN(len(w.keys))], now); err != nil {
			if ctx.Err() != nil {
				return n
			}
			if w.errors++; w.firstErr == nil {
				w.firstErr = err
			}
		}
		at := time.Since(begun)
		w.taken.Add(at - last)
		n++
		if at >= length {
			return n
		}
		last = at
	}
}

func (w *worker) do(ctx context.Context, key []byte, now store.Millis) error {
	op := w.op
	if op == Mix {
		if op = Get; w.random.IntN(10) == 0 {
			op = GetSet
		}
	}
	expect := store.Any
	if op != Set {
		value, err := w.store.Get(ctx, key, now)
		switch {
		case errors.Is(err, store.ErrNotFound):
			w.missing++
			if op == Get {
				return nil
			}
			expect = store.Absent
		case err != nil || op == Get:
			return err
		default:
			expect = int64(revision(value))
		}
	}
	w.revision++
	binary.LittleEndian.PutUint64(w.value, w.revision)
	return w.store.Set(ctx, store.Write{Key: key, Value: w.value, Expires: now + lifetime, Now: now, Expect: expect})
}

func revision(value []byte) uint64 {
	if len(value) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(value)
}

// sum fills in the workers' results.
func (c *crew) sum(r *Result) {
	var all histogram.Histogram
	for _, w := range c.workers {
		all.Merge(&w.taken)
		r.Missing += w.missing
		r.Errors += w.errors
		if r.Error == "" && w.firstErr != nil {
			r.Error = w.firstErr.Error()
		}
	}
	r.Operations = all.Count()
	r.Latency = Latency{all.Quantile(.5), all.Quantile(.9), all.Quantile(.99), all.Quantile(.999), all.Max()}
	r.OpsPerSecond = median(r.Rounds)
}
