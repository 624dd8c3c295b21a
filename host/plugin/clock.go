package plugin

import (
	"log/slog"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

const (
	// mostLeap is how far the clock may have moved beyond what has passed and be
	// believed at once: machines are suspended for hours.
	mostLeap = 24 * time.Hour
	// proofTime is how long a clock that leapt further must go steadily to be
	// believed.
	proofTime = time.Hour
)

// steadyClock is the time by which the host's own work (sweeping, saving,
// snapshots) takes records for expired. A clock that leaps years ahead would have all
// sessions swept away, and be set right a moment later; what an operation is told
// is up to its caller, and removes one record at most.
//
// A leap is noticed by time that cannot leap. Until the clock has proved itself, time
// goes on from where it was; to set it back is believed at once, since it removes
// nothing.
type steadyClock struct {
	now     func() time.Time
	passed  func() time.Duration // since some moment, whatever becomes of the clock
	log     *slog.Logger
	name    string
	mu      sync.Mutex
	at      time.Time     // what was believed last, zero at the beginning
	when    time.Duration // passed then
	held    bool
	leapt   time.Time // the clock, when it began to go steadily after a leap
	leaptAt time.Duration
}

// reference tells a time that the clock has had before this process, if there is
// one: a leap since counts as well.
func (c *steadyClock) reference(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.IsZero() && t.After(c.at) {
		c.at, c.when = t, c.passed()
	}
}

// time returns the time that is believed.
func (c *steadyClock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, passed := c.now().Round(0), c.passed()
	if c.at.IsZero() {
		c.at, c.when = now, passed
	}
	expected := c.at.Add(passed - c.when)
	c.when = passed
	leap := now.Sub(expected)
	switch {
	case leap <= mostLeap:
		if c.held {
			c.log.Info("the clock is right again: expired sessions are removed as before", "plugin", c.name, "clock", now)
		}
		c.held, c.at = false, now
		return c.at
	case !c.held:
		c.held, c.leapt, c.leaptAt = true, now, passed
		c.log.Warn("the clock leapt ahead: no session is removed as expired by it until it has gone steadily for a while",
			"plugin", c.name, "clock", now, "believed", expected, "ahead", leap.Round(time.Second), "for", proofTime)
	}
	if drift := now.Sub(c.leapt) - (passed - c.leaptAt); drift.Abs() > mostLeap {
		c.leapt, c.leaptAt = now, passed // it leapt again
	}
	if passed-c.leaptAt >= proofTime {
		c.log.Warn("the clock has gone steadily since it leapt ahead, and is believed: what has expired by it is removed", "plugin", c.name, "clock", now)
		c.held, c.at = false, now
		return c.at
	}
	c.at = expected
	return c.at
}

func (c *steadyClock) isHeld() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// judged is the time by which the host's own work takes records for expired.
func (p *Plugin) judged() store.Millis { return store.At(p.clock.time()) }

// notAfterJudged is the time that a caller says it is, as long as the clock is
// believed; after a leap, no later than what is.
func (p *Plugin) notAfterJudged(now store.Millis) store.Millis {
	believed := p.judged()
	if p.clock.isHeld() {
		return min(now, believed)
	}
	return now
}
