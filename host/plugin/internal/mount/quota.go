package mount

import (
	"math"
	"sync/atomic"
)

// quota counts what is in use. Other processes may change files without it, so
// a count can be wrong by what they did; it never goes below zero.
type quota struct {
	bytes, files, open, listed  atomic.Int64
	maxBytes, maxFiles, maxOpen int64
	handles                     Handles // nil for none
	exceeded                    func(Quota)
}

func (q *quota) limit(opts Options) {
	q.maxBytes, q.maxFiles, q.maxOpen = opts.MaxBytes, opts.MaxFiles, int64(opts.MaxOpen)
	q.handles, q.exceeded = opts.Handles, opts.Exceeded
	if q.exceeded == nil {
		q.exceeded = func(Quota) {}
	}
	if q.maxBytes == 0 {
		q.maxBytes = math.MaxInt64
	}
	if q.maxFiles == 0 {
		q.maxFiles = math.MaxInt64
	}
	if q.maxOpen == 0 {
		q.maxOpen = DefaultMaxOpen
	}
}

// take adds n to a count, unless that goes beyond its limit.
func take(count *atomic.Int64, n, limit int64) bool {
	for {
		old := count.Load()
		if n > limit-old {
			return false
		}
		if count.CompareAndSwap(old, old+n) {
			return true
		}
	}
}

// give subtracts n from a count.
func give(count *atomic.Int64, n int64) {
	for {
		old := count.Load()
		if count.CompareAndSwap(old, max(old-n, 0)) {
			return
		}
	}
}

// limited is take for a quota, and tells when that is exceeded.
func (q *quota) limited(of Quota, count *atomic.Int64, n, limit int64) bool {
	ok := take(count, n, limit)
	if !ok {
		q.exceeded(of)
	}
	return ok
}

func (q *quota) takeBytes(n int64) bool { return q.limited(QuotaBytes, &q.bytes, n, q.maxBytes) }
func (q *quota) giveBytes(n int64)      { give(&q.bytes, n) }
func (q *quota) takeFile() bool         { return q.limited(QuotaFiles, &q.files, 1, q.maxFiles) }
func (q *quota) giveFile()              { give(&q.files, 1) }

func (q *quota) takeOpen() bool {
	if !q.limited(QuotaOpen, &q.open, 1, q.maxOpen) {
		return false
	}
	if q.handles != nil && !q.handles.Take() {
		give(&q.open, 1)
		return false
	}
	return true
}

func (q *quota) giveOpen() {
	give(&q.open, 1)
	if q.handles != nil {
		q.handles.Give()
	}
}
