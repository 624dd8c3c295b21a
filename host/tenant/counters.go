package tenant

import (
	"context"
	"errors"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// opKind is an operation of the store, as it is counted.
type opKind int

const (
	opGet opKind = iota
	opSet
	opTouch
	opDelete
	opOther // on all records
	opKinds
)

var opNames = [opKinds]string{"get", "set", "touch", "delete", "other"}

// errorKinds are the kinds of errors that are counted, by what operators call them. An error
// is of the first kind that it matches.
var errorKinds = [...]struct {
	name string
	err  error
}{
	{"trap", plugin.ErrTrap},
	{"exit", plugin.ErrExit},
	{"deadline", plugin.ErrDeadline},
	{"fuel", plugin.ErrFuel},
	{"depth", plugin.ErrDepth},
	{"rate", plugin.ErrRate},
	{"memory", plugin.ErrMemory},
	{"endless", plugin.ErrEndless},
	{"protocol", plugin.ErrProtocol},
	{"backoff", plugin.ErrBackoff},
	{"budget", plugin.ErrBudget},
	{"canceled", context.Canceled},
	{"timeout", context.DeadlineExceeded},
	{"closed", store.ErrClosed},
	{"too_large", store.ErrTooLarge},
	{"no_space", store.ErrNoSpace},
	{"invalid", store.ErrInvalid},
	{"corrupt", store.ErrCorrupt},
	{"denied", store.ErrDenied},
	{"unsupported", store.ErrUnsupported},
	{"unavailable", store.ErrUnavailable},
	{"internal", nil}, // all others
}

// counters count a tenant's operations. They take a few hundred bytes, since there may
// be ten thousand tenants.
type counters struct {
	calls  [opKinds]atomic.Uint64
	errors [len(errorKinds)]atomic.Uint64
	took   latency
}

func (c *counters) add(op opKind, took time.Duration, err error) {
	c.calls[op].Add(1)
	c.took.add(took)
	// Not there, and somebody was faster, are answers.
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return
	}
	for i := range errorKinds {
		if errorKinds[i].err == nil || errors.Is(err, errorKinds[i].err) {
			c.errors[i].Add(1)
			return
		}
	}
}

// latency counts durations by powers of two, from a microsecond on.
type latency struct {
	counts [latencyBuckets]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// The last bucket has no end; the one before ends at 33 seconds.
const latencyBuckets = 27

func (l *latency) add(d time.Duration) {
	d = max(d, 0)
	l.counts[min(bits.Len64(uint64(d/time.Microsecond)), latencyBuckets-1)].Add(1)
	l.sum.Add(int64(d))
}

func (l *latency) read() Latency {
	var out Latency
	for i := range l.counts {
		out.Buckets[i] = l.counts[i].Load()
		out.Count += out.Buckets[i]
	}
	out.Sum = time.Duration(l.sum.Load())
	return out
}

// Latency is how long the operations of a tenant's store took.
type Latency struct {
	// Buckets counts operations: Buckets[i] those that took less than Bound(i) and not
	// less than Bound(i-1).
	Buckets [latencyBuckets]uint64
	Count   uint64
	Sum     time.Duration
}

// Bound returns the end of a bucket: 2^i microseconds, and the longest duration that
// there is for the last one.
func (l Latency) Bound(bucket int) time.Duration {
	if bucket >= latencyBuckets-1 {
		return 1<<63 - 1
	}
	return time.Microsecond << bucket
}

// Quantile returns a duration that the share q of all operations did not exceed: the end
// of a bucket, so up to twice as long as it was, or 0 if there are none. If it lies in the
// last bucket, Quantile returns where that begins.
func (l Latency) Quantile(q float64) time.Duration {
	rank := q * float64(l.Count)
	var seen uint64
	for i, n := range l.Buckets {
		if seen += n; n > 0 && float64(seen) >= rank {
			return l.Bound(min(i, latencyBuckets-2))
		}
	}
	return 0
}
