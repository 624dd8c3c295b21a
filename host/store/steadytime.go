package store

import "time"

const (
	// mostLeap is how far the time of a write may be beyond that of the write before
	// and be believed at once.
	mostLeap = Millis(24 * time.Hour / time.Millisecond)
	// proofTime is how long a time that leapt further must go on without going back.
	proofTime = Millis(time.Hour / time.Millisecond)
)

// steadyTime is the time by which a write takes others' records for expired. One
// that is told the year 2099, by a clock that is set right a moment later, must not
// cost sessions that nobody asked for. There is no other clock here to compare it
// with: a long time without writes looks like a leap as well, and what is removed
// for it is removed an hour later, or by the write after the next.
type steadyTime struct {
	believed Millis
	leapt    Millis // the first time after a leap that is not believed yet, or 0
}

// judge is told the time of a write and returns what is believed.
func (t *steadyTime) judge(now Millis) Millis {
	switch {
	case t.believed == 0 || now <= t.believed+mostLeap:
		t.believed, t.leapt = now, 0
	case t.leapt == 0 || now < t.leapt:
		t.leapt = now
	case now >= t.leapt+proofTime:
		t.believed, t.leapt = t.leapt, now
	}
	return t.believed
}
