package sessiontest

import (
	"sync/atomic"
	"time"
)

// Start is what a [Clock] shows at first: 2026-01-01 00:00:00 UTC.
var Start = time.Unix(1767225600, 0).UTC()

// Clock is a clock that stands still until a test moves it. The zero Clock shows
// [Start]. It may be used by many goroutines.
//
// Its Now fits Settings.Now and plugin.Config.Now.
type Clock struct{ offset atomic.Int64 }

// Now returns the time that the clock shows, in UTC.
func (c *Clock) Now() time.Time { return Start.Add(time.Duration(c.offset.Load())) }

// Advance moves the clock forward, or back for a negative time.
func (c *Clock) Advance(d time.Duration) { c.offset.Add(int64(d)) }

// Set makes the clock show a time, which must lie within 292 years of [Start].
func (c *Clock) Set(t time.Time) { c.offset.Store(int64(t.Sub(Start))) }
