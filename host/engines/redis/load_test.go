package redis_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// load is what hosts do with the same sessions, while something happens to the servers. It
// has a model of every record, with which it compares each answer: what was acknowledged
// must be there, what was refused must not, and no record may be that of another key.
//
// Each worker has records of its own, so that it knows what they are, and all of them
// increment the same counters over all hosts.
type load struct {
	t     *testing.T
	hosts []store.Store

	// lossy says that servers may lose writes that they have acknowledged. Those are counted.
	lossy bool
	// shaky says that a server shows a write before it is acknowledged, and may lose it
	// until then: it waits for replicas.
	shaky bool
	// refusals are the errors, beside ErrUnavailable, that may come.
	refusals []error

	acknowledged, failed, lost, undone atomic.Int64
	slowest                            atomic.Int64 // nanoseconds of an operation
	clean                              []atomic.Int64
	violation                          atomic.Pointer[string]

	stop    chan struct{}
	wg      sync.WaitGroup
	workers []*worker

	counters [4]counter
}

// counter counts what was done to one record that all workers write.
type counter struct{ sure, unsure atomic.Int64 }

const workersOfLoad = 16

// rounds is how often a test does what takes long.
func rounds(t *testing.T, usual int) int {
	text := os.Getenv("WADDLE_CRASHES")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return max(usual, n/3)
}

// begin starts the workers.
func (l *load) begin() {
	l.stop = make(chan struct{})
	l.clean = make([]atomic.Int64, workersOfLoad)
	l.workers = make([]*worker, workersOfLoad)
	for i := range l.workers {
		w := &worker{l: l, number: i, host: l.hosts[i%len(l.hosts)], rng: rand.New(rand.NewPCG(uint64(i), 1))}
		for i := range w.records {
			w.renew(i)
		}
		w.first = w.records[0].key
		l.workers[i] = w
		l.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				if w.step(n) {
					l.clean[i].Add(1)
				} else {
					l.clean[i].Store(0)
				}
			}
		})
	}
	l.t.Cleanup(l.halt)
	l.works()
}

func (l *load) halt() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}

// works waits until each worker has done twenty operations in a row, without an error and
// without anybody's help.
func (l *load) works() {
	l.t.Helper()
	for i := range l.clean {
		l.clean[i].Store(0)
	}
	require.Eventually(l.t, func() bool {
		if l.violation.Load() != nil {
			return true
		}
		for i := range l.clean {
			if l.clean[i].Load() < 20 {
				return false
			}
		}
		return true
	}, 2*time.Minute, 5*time.Millisecond, "the hosts do not recover by themselves")
	l.check()
}

func (l *load) check() {
	l.t.Helper()
	if v := l.violation.Load(); v != nil {
		l.halt()
		l.t.Fatal(*v)
	}
}

// end stops the workers and compares all records with the model, over all hosts.
func (l *load) end() {
	l.t.Helper()
	l.works()
	l.halt()
	l.check()
	for _, w := range l.workers {
		for i := range w.records {
			for _, w.host = range l.hosts {
				w.read(&w.records[i])
			}
		}
	}
	l.check()
	for i := range l.counters {
		for _, host := range l.hosts {
			c := &l.counters[i]
			n := uint64(0)
			value, err := host.Get(context.Background(), counterKey(i), store.At(time.Now()))
			if !errors.Is(err, store.ErrNotFound) {
				require.NoError(l.t, err)
				n = binary.LittleEndian.Uint64(value[8:])
			}
			sure, unsure := c.sure.Load(), c.unsure.Load()
			require.LessOrEqual(l.t, n, uint64(sure+unsure), "a counter was incremented twice for one attempt")
			if short := sure - int64(n); short > 0 {
				require.True(l.t, l.lossy, "counter %d is %d after %d increments that were acknowledged", i, n, sure)
				if host == l.hosts[0] {
					l.lost.Add(short)
				}
			}
		}
	}
	l.t.Logf("%d operations acknowledged, %d failed; the servers lost %d acknowledged writes and undid %d removals; the slowest operation took %v",
		l.acknowledged.Load(), l.failed.Load(), l.lost.Load(), l.undone.Load(), time.Duration(l.slowest.Load()).Round(time.Millisecond))
}

func (l *load) wrong(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.violation.CompareAndSwap(nil, &text)
}

func counterKey(i int) []byte {
	key := sha256.Sum256([]byte("counter " + strconv.Itoa(i)))
	return key[:]
}

// worker is one client.
type worker struct {
	l       *load
	number  int
	host    store.Store
	rng     *rand.Rand
	records [6]record
	made    int
	first   []byte // the key that it began with
}

// record is what a worker knows of a record that only it writes.
type record struct {
	key     []byte
	current uint64            // the version that is there; 0: none
	unsure  map[uint64]uint64 // versions that may be there now, or at any time later, with those that they replace
	written map[uint64]bool   // all versions that were ever asked for
	removal bool              // it may be removed at any time: an answer was lost
	retired bool              // an unconditional write, whose answer was lost, may be done at any time
	last    uint64
	shaky   []uint64 // versions that may come back, since what was read later was not acknowledged
}

// renew gives a place a new record.
func (w *worker) renew(i int) {
	w.made++
	key := sha256.Sum256(fmt.Appendf(nil, "%d/%d", w.number, w.made))
	w.records[i] = record{key: key[:], unsure: map[uint64]uint64{}, written: map[uint64]bool{}}
}

// step does one operation, and reports whether it was done.
func (w *worker) step(n int) bool {
	i := w.rng.IntN(len(w.records))
	r := &w.records[i]
	switch k := w.rng.IntN(10); {
	case n%5 == 0:
		return w.increment(w.rng.IntN(len(w.l.counters)))
	case r.removal || len(r.unsure) > 0:
		// Who does not know what is there asks before it writes.
		if !w.read(r) {
			return false
		}
		if r.removal || r.retired {
			w.renew(i)
		}
		return true
	case k < 4:
		return w.read(r)
	case k < 8 || r.current == 0:
		return w.write(r, k == 7)
	case k == 8:
		return w.touch(r)
	default:
		return w.remove(r)
	}
}

// do calls the host, and tells what came of it.
func (w *worker) do(op func(ctx context.Context, now store.Millis) error) (done bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := time.Now()
	err = op(ctx, store.At(began))
	took := int64(time.Since(began))
	for slowest := w.l.slowest.Load(); took > slowest && !w.l.slowest.CompareAndSwap(slowest, took); slowest = w.l.slowest.Load() {
	}
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		w.l.acknowledged.Add(1)
		return true, err
	}
	w.l.failed.Add(1)
	if !errors.Is(err, store.ErrUnavailable) && !w.refused(err) {
		w.l.wrong("an operation failed with %v", err)
	}
	return false, err
}

// refused reports whether an error says that nothing was done.
func (w *worker) refused(err error) bool {
	for _, refusal := range w.l.refusals {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// expiry is so far that nothing expires.
func expiry(now store.Millis) store.Millis { return now + store.Span(time.Hour) }

func (w *worker) write(r *record, always bool) bool {
	r.last++
	version := r.last
	r.written[version] = true
	value := binary.LittleEndian.AppendUint64(nil, version)
	value = append(value, r.key...)
	value = append(value, make([]byte, w.rng.IntN(600))...)
	done, err := w.do(func(ctx context.Context, now store.Millis) error {
		expect := int64(r.current)
		switch {
		case always:
			expect = store.Any
		case r.current == 0:
			expect = store.Absent
		}
		return w.host.Set(ctx, store.Write{Key: r.key, Value: value, Expires: expiry(now), Now: now, Expect: expect})
	})
	switch {
	case done && err == nil:
		r.current, r.shaky = version, nil
		clear(r.unsure)
	case done:
		if !w.l.lossy {
			w.l.wrong("a write was answered %v, and nobody else writes this record", err)
		}
		return w.read(r)
	case !w.refused(err):
		r.unsure[version] = r.current
		r.retired = always
	}
	return done
}

func (w *worker) read(r *record) bool {
	var value []byte
	done, err := w.do(func(ctx context.Context, now store.Millis) (err error) {
		value, err = w.host.Get(ctx, r.key, now)
		return err
	})
	if !done {
		return false
	}
	found := uint64(0)
	if err == nil {
		if len(value) < 40 || string(value[8:40]) != string(r.key) {
			w.l.wrong("the record of one key is under another")
			return true
		}
		found = binary.LittleEndian.Uint64(value)
	}
	w.saw(r, found)
	return true
}

// saw compares what was read with what may be there.
func (w *worker) saw(r *record, found uint64) {
	base, unsure := r.unsure[found]
	switch {
	case found == r.current:
		return
	case found != 0 && unsure && base == r.current:
		if w.l.shaky {
			r.shaky = append(r.shaky, base)
		}
	case slices.Contains(r.shaky, found):
		r.shaky = r.shaky[:slices.Index(r.shaky, found)]
	case found == 0 && r.removal:
	case w.l.lossy && (found == 0 || r.written[found]):
		if r.current == 0 {
			w.l.undone.Add(1)
		} else {
			w.l.lost.Add(1)
		}
	default:
		w.l.wrong("version %d of a record was read: must be %d, or one of %v, which were not acknowledged", found, r.current, r.unsure)
	}
	r.current = found
	if !w.l.lossy {
		for version, base := range r.unsure {
			if base != found {
				delete(r.unsure, version)
			}
		}
	} else {
		clear(r.unsure)
	}
}

func (w *worker) touch(r *record) bool {
	done, err := w.do(func(ctx context.Context, now store.Millis) error {
		return store.Touch(ctx, w.host, r.key, expiry(now), now)
	})
	if done && err != nil && !w.l.lossy {
		w.l.wrong("a touch was answered %v", err)
	}
	if done && err != nil {
		return w.read(r)
	}
	return done
}

func (w *worker) remove(r *record) bool {
	done, err := w.do(func(ctx context.Context, now store.Millis) error { return w.host.Delete(ctx, r.key, now) })
	switch {
	case done:
		r.current, r.shaky = 0, nil
		clear(r.unsure)
	case !w.refused(err):
		r.removal = true
	}
	return done
}

// increment adds one to a record that everybody writes.
func (w *worker) increment(i int) bool {
	for {
		n, expect := uint64(0), int64(store.Absent)
		done, _ := w.do(func(ctx context.Context, now store.Millis) error {
			value, err := w.host.Get(ctx, counterKey(i), now)
			if err == nil {
				n, expect = binary.LittleEndian.Uint64(value[8:]), int64(binary.LittleEndian.Uint64(value))
			}
			return err
		})
		if !done {
			return false
		}
		// Hosts choose the same revisions. What tells their writes apart is the engine's.
		value := binary.LittleEndian.AppendUint64(nil, n+1)
		value = binary.LittleEndian.AppendUint64(value, n+1)
		done, err := w.do(func(ctx context.Context, now store.Millis) error {
			return w.host.Set(ctx, store.Write{Key: counterKey(i), Value: value, Expires: expiry(now), Now: now, Expect: expect})
		})
		c := &w.l.counters[i]
		switch {
		case done && err == nil:
			c.sure.Add(1)
			return true
		case !done:
			if !w.refused(err) {
				c.unsure.Add(1)
			}
			return false
		}
		select {
		case <-w.l.stop:
			return true
		default:
		}
	}
}
