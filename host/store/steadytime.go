package store

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mostLeap is how far the time of a write may exceed the believed time and still
	// be believed at once.
	mostLeap = Millis(24 * time.Hour / time.Millisecond)
	// proofTime is how long a time that leapt further must advance without going
	// back.
	proofTime = Millis(time.Hour / time.Millisecond)
	// judgeEvery is how far time advances until it is judged again. A write within
	// it only reads the state that all writers share.
	judgeEvery = Millis(time.Minute / time.Millisecond)
)

// steadyTime is the time by which a write takes other records for expired. A write
// whose clock says 2099, and is corrected a moment later, must not remove sessions
// that nobody asked for. There is no other clock to compare with, so a long time
// without writes looks like a leap too. Records that expired meanwhile are then
// removed an hour later, or by the write after the next.
//
// All shards of a store share one steadyTime: each shard sees few of the writes and
// would not notice a corrected clock.
type steadyTime struct {
	believed atomic.Int64
	doubted  atomic.Bool // leapt is set
	mu       sync.Mutex
	leapt    Millis // the first time after a leap that is not believed yet, or 0
}

// judge takes the time of a write and returns the believed time.
func (t *steadyTime) judge(now Millis) Millis {
	believed := Millis(t.believed.Load())
	if now >= believed && now < believed+judgeEvery && !t.doubted.Load() {
		return now
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	believed = Millis(t.believed.Load())
	switch {
	case believed == 0 || now <= believed+mostLeap:
		believed, t.leapt = now, 0
	case t.leapt == 0 || now < t.leapt:
		t.leapt = now
	case now >= t.leapt+proofTime:
		believed, t.leapt = t.leapt, now
	}
	t.believed.Store(int64(believed))
	t.doubted.Store(t.leapt != 0)
	return believed
}
