package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// crowd says how a store is loaded with very many sessions.
type crowd struct {
	records int
	slices  int           // of mixed load, each followed by one of noise
	span    time.Duration // of one slice
}

// crowdStore is a store that can hold a crowd.
type crowdStore interface {
	store.Store
	store.Toucher
	store.Sweeper
}

// crowdResult is the result of one store with a crowd.
type crowdResult struct {
	Store    string  `json:"store"`
	Records  int     `json:"records"`
	Key      int     `json:"key_bytes"`
	Value    int     `json:"value_bytes"`
	Memory   int64   `json:"memory_bytes"`
	Overhead float64 `json:"overhead_bytes_per_record"`
	Swept    int     `json:"expired_records_swept"`

	Fill  latency `json:"fill"`
	Mixed latency `json:"mixed"`
	Sweep latency `json:"sweep_steps"`
	Noise latency `json:"noise"`
}

// runCrowd fills a store, measures its memory, and puts a mixed load on it, while
// a sweep runs all the time. memory returns how many bytes the store has in use.
func runCrowd(ctx context.Context, name string, st crowdStore, memory func() int64, c crowd) (crowdResult, error) {
	l := &load{ctx: ctx, store: st, mix: mixServing, present: make([]bool, c.records)}
	fill, err := l.fill()
	if err != nil {
		return crowdResult{}, fmt.Errorf("%s: fill: %w", name, err)
	}
	if err := l.verify(); err != nil {
		return crowdResult{}, fmt.Errorf("%s: after the fill: %w", name, err)
	}
	used := memory()
	result := crowdResult{
		Store: name, Records: c.records, Key: keySize, Value: valueSize, Memory: used,
		Overhead: float64(used)/float64(c.records) - keySize - valueSize,
		Fill:     fill.latency(),
	}

	var mixed, noise, sweeps recorder
	workers := max(1, runtime.GOMAXPROCS(0)-1) // one is left for the sweep and the garbage collector
	for range c.slices {
		if err := l.slice(workers, c.span, &mixed, &sweeps); err != nil {
			return crowdResult{}, fmt.Errorf("%s: mixed load: %w", name, err)
		}
		idle := &load{ctx: ctx, store: nothing{}, mix: l.mix, present: l.present}
		if err := idle.slice(workers, c.span, &noise, new(recorder)); err != nil {
			return crowdResult{}, err
		}
	}
	if err := l.verify(); err != nil {
		return crowdResult{}, fmt.Errorf("%s: after the mixed load: %w", name, err)
	}
	result.Mixed, result.Noise, result.Sweep, result.Swept = mixed.latency(), noise.latency(), sweeps.latency(), l.swept
	return result, nil
}

// load drives one store.
type load struct {
	ctx     context.Context
	store   crowdStore
	mix     mix
	active  int    // only the first records, so many of them, are used; 0 means all
	present []bool // whether the record should be there
	swept   int
}

// mix is what a load consists of, in per cent: gets, then sets; the rest are
// deletes and creations.
type mix struct{ gets, sets int }

var (
	mixServing = mix{gets: 80, sets: 15}
	mixWriting = mix{gets: 30, sets: 50}
)

// crowdKey writes the key of record i: quickly, evenly spread, the same at each
// call.
func crowdKey(key []byte, i int) {
	for word := range keySize / 8 {
		x := uint64(i)<<2 + uint64(word) + 1
		x *= 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(key[8*word:], x^x>>31)
	}
}

// crowdValue writes the value of record i: the revision, then bytes that depend
// on i.
func crowdValue(value []byte, i int) {
	binary.LittleEndian.PutUint64(value, 1)
	for at := 8; at < len(value); at += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], uint64(i)*uint64(at)+uint64(i))
		copy(value[at:], word[:])
	}
}

const crowdLife = store.Millis(time.Hour / time.Millisecond)

// fill stores all records, each timed.
func (l *load) fill() (*recorder, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := new(recorder)
	key, value := make([]byte, keySize), make([]byte, valueSize)
	for i := range l.present {
		crowdKey(key, i)
		crowdValue(value, i)
		now := store.At(r.begin())
		err := l.store.Set(l.ctx, store.Write{Key: key, Value: value, Expires: now + crowdLife, Now: now, Expect: abi.ExpectAbsent})
		r.end()
		if err != nil {
			return nil, err
		}
		l.present[i] = true
	}
	return r, nil
}

// verify reads every record and requires everything that should be there, byte for
// byte. An eviction would show here.
func (l *load) verify() error {
	key, want := make([]byte, keySize), make([]byte, valueSize)
	missing := 0
	for i, present := range l.present {
		crowdKey(key, i)
		crowdValue(want, i)
		got, err := l.store.Get(l.ctx, key, store.At(time.Now()))
		switch {
		case !present:
		case errors.Is(err, store.ErrNotFound):
			missing++
		case err != nil:
			return err
		case !bytes.Equal(got, want):
			return fmt.Errorf("record %d came back as another", i)
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d records are missing", missing, len(l.present))
	}
	return nil
}

// slice puts the mixed load on the store for a while. Each worker has its own
// share of the records.
func (l *load) slice(workers int, span time.Duration, mixed, sweeps *recorder) error {
	ctx, stop := context.WithCancel(l.ctx)
	defer stop()
	var sweeping sync.WaitGroup
	var sweepErr error
	sweeping.Go(func() { sweepErr = l.sweep(ctx, sweeps) })
	end := time.Now().Add(span)
	err := l.share(workers, mixed, func(now time.Time) bool { return now.After(end) })
	stop()
	sweeping.Wait()
	return errors.Join(err, sweepErr)
}

// share divides the load among workers until it is over.
func (l *load) share(workers int, times *recorder, over func(now time.Time) bool) error {
	var working sync.WaitGroup
	active := len(l.present)
	if l.active > 0 {
		active = l.active
	}
	recorders := make([]recorder, workers)
	errs := make([]error, workers)
	for w := range workers {
		working.Go(func() {
			first, end := w*active/workers, (w+1)*active/workers
			errs[w] = l.work(first, end, over, &recorders[w])
		})
	}
	working.Wait()
	for w := range recorders {
		times.merge(&recorders[w])
	}
	return errors.Join(errs...)
}

const (
	sweepRecords = 1000 // looked at in one step
	sweepPause   = time.Millisecond
)

// sweep removes expired records in small steps until the context ends.
func (l *load) sweep(ctx context.Context, r *recorder) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := time.NewTicker(sweepPause)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		n, err := l.store.Sweep(l.ctx, sweepRecords, store.At(r.begin()))
		r.end()
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		l.swept += n
	}
}

// gone is how many records of a worker are missing at most at one time. shortLife
// is how long, in milliseconds, records live that expire instead of being deleted.
const (
	gone      = 4096
	shortLife = 20
)

// work does gets, sets, deletes and creations according to the mix, each timed.
// Deletions alternate between a Delete and an expiry that comes soon.
func (l *load) work(first, end int, over func(now time.Time) bool, r *recorder) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	random := rand.New(rand.NewPCG(uint64(first), uint64(time.Now().UnixNano())))
	key, value := make([]byte, keySize), make([]byte, valueSize)
	var missing []int // records to create again, oldest first
	room := min(gone, (end-first)/16)
	for {
		i := first + random.IntN(end-first)
		what := random.IntN(100)
		rest := what >= l.mix.gets+l.mix.sets
		remove := rest && len(missing) < room && l.present[i]
		create := rest && !remove && len(missing) > 0
		if create {
			i, missing = missing[0], missing[1:]
		}
		crowdKey(key, i)
		crowdValue(value, i)
		present := l.present[i]
		start := r.begin()
		if over(start) {
			if create {
				missing = append(missing, i)
			}
			break
		}
		now := store.At(start)
		write := store.Write{Key: key, Value: value, Expires: now + crowdLife, Now: now}
		var got []byte
		var err error
		switch {
		case remove && i&1 == 0:
			err = l.store.Touch(l.ctx, key, now+shortLife, now)
		case remove:
			err = l.store.Delete(l.ctx, key, now)
		case create, what >= l.mix.gets && present:
			err = l.store.Set(l.ctx, write)
		default:
			got, err = l.store.Get(l.ctx, key, now)
		}
		r.end()

		switch {
		case err != nil && (present || !errors.Is(err, store.ErrNotFound)):
			return fmt.Errorf("record %d: %w", i, err)
		case got != nil && !bytes.Equal(got, value):
			return fmt.Errorf("record %d came back as another", i)
		case remove:
			l.present[i] = false
			missing = append(missing, i)
		case create:
			l.present[i] = true
		}
	}
	return l.restore(missing)
}

// restore creates the missing records again, so that the next slice begins with
// all.
func (l *load) restore(missing []int) error {
	key, value := make([]byte, keySize), make([]byte, valueSize)
	for _, i := range missing {
		crowdKey(key, i)
		crowdValue(value, i)
		now := store.At(time.Now())
		if err := l.store.Set(l.ctx, store.Write{Key: key, Value: value, Expires: now + crowdLife, Now: now}); err != nil {
			return err
		}
		l.present[i] = true
	}
	return nil
}
