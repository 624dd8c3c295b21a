package store

import "time"

// Millis is a number of milliseconds: of a time, those since 1970 in UTC, or of a
// span, those from one time to another. It has a type of its own so that a time
// cannot be given where a size, a count or a revision belongs.
type Millis int64

// At returns a time as the milliseconds since 1970. What is below a millisecond is
// cut off, towards the past.
func At(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Span returns a duration in milliseconds. What is below a millisecond is cut off,
// towards zero.
func Span(d time.Duration) Millis { return Millis(d.Milliseconds()) }

// Time returns the time that lies m after 1970, as [time.UnixMilli] does.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)) }

// Duration returns a span as a duration. One that is longer than a Duration can be
// is the longest that can.
func (m Millis) Duration() time.Duration {
	const most = Millis((1<<63 - 1) / time.Millisecond)
	return time.Duration(min(max(m, -most), most)) * time.Millisecond
}
