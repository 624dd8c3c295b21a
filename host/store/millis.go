package store

import "time"

// Millis is a number of milliseconds: a time as milliseconds since 1970 in UTC, or
// a span between two times. It has a type of its own so that a time cannot be
// passed for a size, a count or a revision.
type Millis int64

// At returns a time as the milliseconds since 1970, rounded down.
func At(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Span returns a duration in milliseconds, rounded towards zero.
func Span(d time.Duration) Millis { return Millis(d.Milliseconds()) }

// Time returns the time m after 1970, as [time.UnixMilli] does.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)) }

// Duration returns a span as a duration. A span beyond the range of Duration
// becomes the longest one.
func (m Millis) Duration() time.Duration {
	const most = Millis((1<<63 - 1) / time.Millisecond)
	return time.Duration(min(max(m, -most), most)) * time.Millisecond
}
