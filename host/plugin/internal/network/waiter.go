package network

import (
	"slices"
	"sync"
	"time"
)

// waiter is a call that waits for what other goroutines do.
type waiter struct {
	woken chan struct{}
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any { return &waiter{woken: make(chan struct{}, 1)} }}

func newWaiter(at time.Time) *waiter {
	w := waiters.Get().(*waiter)
	if w.timer == nil {
		w.timer = time.NewTimer(time.Until(at))
	} else {
		w.timer.Reset(time.Until(at))
	}
	return w
}

// free gives the waiter back. Nobody may have it any more.
func (w *waiter) free() {
	w.timer.Stop()
	select {
	case <-w.woken:
	default:
	}
	waiters.Put(w)
}

// wait returns true if something may have happened, and false if the time has come.
func (w *waiter) wait(done <-chan struct{}) bool {
	select {
	case <-w.woken:
		return true
	case <-w.timer.C:
	case <-done:
	}
	return false
}

// watch lets the waiter be woken.
func (c *Conn) watch(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters = append(c.waiters, w)
}

func (c *Conn) unwatch(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiters, w); i >= 0 {
		c.waiters = slices.Delete(c.waiters, i, i+1)
	}
}

// wake lets whoever waits look again. The caller holds the lock.
func (c *Conn) wake() {
	for _, w := range c.waiters {
		select {
		case w.woken <- struct{}{}:
		default:
		}
	}
}
