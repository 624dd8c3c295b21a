// Package repeats thins what is said over and over: a disk that is full, or a guest
// that cannot be opened, must not fill the log.
package repeats

import (
	"strings"
	"sync"
	"time"
)

// Filter decides which lines are written: of a class of lines the first ones, and
// then one for each interval, with the number of those that were not. The interval
// doubles for as long as it goes on. It may be used by many goroutines at once.
type Filter struct {
	// First is how many lines of a class are written at once.
	First int

	mu      sync.Mutex
	classes map[string]*repeat
}

// repeat is what is known of a class.
type repeat struct {
	began    time.Time // of the interval
	interval time.Duration
	written  int // in it
	unsaid   int // since the last one that was written
}

const (
	repeatFirst   = time.Minute
	repeatLongest = time.Hour
	repeatClasses = 64 // are kept apart; the rest counts as one
)

// ClassLen is how much of a line is looked at.
const ClassLen = 160

// Take reports whether a line is to be written, and how many of its class were not
// since the last one.
func (r *Filter) Take(line string, now time.Time) (ok bool, unsaid int) {
	class := classOf(line)
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.classes[class]
	if c == nil {
		c = r.room(class, now)
	}
	passed := now.Sub(c.began)
	switch {
	case passed >= 2*c.interval || passed < 0: // it had ended
		c.began, c.interval, c.written = now, repeatFirst, 0
	case passed >= c.interval:
		c.began, c.interval, c.written = now, min(2*c.interval, repeatLongest), r.First-1
	}
	if c.written >= r.First {
		c.unsaid++
		return false, 0
	}
	c.written++
	unsaid, c.unsaid = c.unsaid, 0
	return true, unsaid
}

// room makes a class, if there is room for one, in place of those that have ended.
func (r *Filter) room(class string, now time.Time) *repeat {
	if r.classes == nil {
		r.classes = make(map[string]*repeat)
	}
	if len(r.classes) >= repeatClasses {
		for other, c := range r.classes {
			if now.Sub(c.began) >= 2*c.interval {
				delete(r.classes, other)
			}
		}
	}
	if len(r.classes) >= repeatClasses {
		class = "" // this one is beyond the bound
		if c := r.classes[class]; c != nil {
			return c
		}
	}
	c := &repeat{began: now, interval: repeatFirst}
	r.classes[class] = c
	return c
}

// classOf is a line without its numbers, which are shards, sizes and times as a rule.
func classOf(line string) string {
	line = line[:min(len(line), ClassLen)]
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, line)
}
