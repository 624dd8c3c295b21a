package plugin

import (
	"log/slog"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

const (
	// mostLeap is how far the clock may run ahead of the time passed and still be
	// believed at once: machines are suspended for hours.
	mostLeap = 24 * time.Hour
	// proofTime is how long a clock that leapt further must run steadily before it
	// is believed.
	proofTime = time.Hour
)

// steadyClock is the time by which the host's own work (sweeping, saving,
// snapshots) judges whether records have expired. A clock that leaps years ahead and is
// corrected a moment later would otherwise cost all sessions. The time of an operation
// comes from its caller, and removes one record at most.
//
// It notices a leap by a time that cannot leap. Until the clock has proved itself, time
// goes on from where it was. A clock set back is believed at once, since that removes
// nothing.
type steadyClock struct {
	now     func() time.Time
	passed  func() time.Duration // since some moment, whatever the clock does
	log     *slog.Logger
	name    func() string
	mu      sync.Mutex
	at      time.Time     // believed last, zero at the beginning
	when    time.Duration // passed at that time
	held    bool
	leapt   time.Time // the clock when it began to run steadily after a leap
	leaptAt time.Duration
}

// reference passes on a time that the clock had before this process, or zero: a leap
// since then counts as well.
func (c *steadyClock) reference(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.IsZero() && t.After(c.at) {
		c.at, c.when = t, c.passed()
	}
}

// time returns the believed time.
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
			c.log.Info("the clock is right again: expired sessions are removed as before", "plugin", c.name(), "clock", now)
		}
		c.held, c.at = false, now
		return c.at
	case !c.held:
		c.held, c.leapt, c.leaptAt = true, now, passed
		c.log.Warn("the clock leapt ahead: it removes no expired session until it has run steadily for a while",
			"plugin", c.name(), "clock", now, "believed", expected, "ahead", leap.Round(time.Second), "for", proofTime)
	}
	if drift := now.Sub(c.leapt) - (passed - c.leaptAt); drift.Abs() > mostLeap {
		c.leapt, c.leaptAt = now, passed // it leapt again
	}
	if passed-c.leaptAt >= proofTime {
		c.log.Warn("the clock has run steadily since it leapt ahead, and is believed: sessions that have expired by it are removed", "plugin", c.name(), "clock", now)
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

// judged returns the time by which the host's own work judges expiry.
func (p *Plugin) judged() store.Millis { return store.At(p.clock.time()) }

// notAfterJudged returns the caller's time while the clock is believed. After a leap
// it returns no later time than the believed one.
func (p *Plugin) notAfterJudged(now store.Millis) store.Millis {
	believed := p.judged()
	if p.clock.isHeld() {
		return min(now, believed)
	}
	return now
}
