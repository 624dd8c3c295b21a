package network

import (
	"slices"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// Subscription is what [Poll] waits for.
type Subscription struct {
	Conn   *Conn
	Events int32 // abi.WaitRead, abi.WaitWrite or both
	Ready  int32 // those that are there; all of them if the connection failed or was closed
}

// Poll waits until any of the events is there, or until the time has come. Without any, it
// waits for the time.
func Poll(subs []Subscription, until Until) {
	if look(subs) || until.passed() {
		return
	}
	w := waiters.Get().(*waiter)
	w.timer.Reset(time.Until(until.At))
	for i := range subs {
		subs[i].Conn.watch(w)
	}
	for !look(subs) && w.wait(until.Done) {
	}
	for i := range subs {
		subs[i].Conn.unwatch(w)
	}
	w.timer.Stop()
	select {
	case <-w.woken:
	default:
	}
	waiters.Put(w)
}

// look fills in what is ready, and reports whether anything is.
func look(subs []Subscription) (any bool) {
	for i := range subs {
		subs[i].Ready = subs[i].Conn.ready(subs[i].Events)
		any = any || subs[i].Ready != 0
	}
	return any
}

// Wait waits for events and returns those that are there, or the error of a connection that
// failed.
func (c *Conn) Wait(events int32, until Until) (ready int32, errno int32) {
	subs := [1]Subscription{{Conn: c, Events: events}}
	Poll(subs[:], until)
	c.mu.Lock()
	defer c.mu.Unlock()
	if errno := c.unusable(); errno != 0 {
		return 0, errno
	}
	if subs[0].Ready == 0 {
		return 0, abi.ErrnoAgain
	}
	return subs[0].Ready, 0
}

func (c *Conn) ready(events int32) (ready int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case stateMaking:
		return 0
	case stateReady:
		if events&abi.WaitRead != 0 && c.readable() {
			ready |= abi.WaitRead
		}
		if events&abi.WaitWrite != 0 && c.writable() {
			ready |= abi.WaitWrite
		}
		return ready
	}
	return events
}

// waiter is a call that waits.
type waiter struct {
	woken chan struct{}
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &waiter{make(chan struct{}, 1), t}
}}

// wait returns false if the time has come.
func (w *waiter) wait(done <-chan struct{}) bool {
	select {
	case <-w.woken:
		return true
	case <-w.timer.C:
	case <-done:
	}
	return false
}

func (c *Conn) watch(w *waiter) {
	c.mu.Lock()
	c.waiters = append(c.waiters, w)
	c.mu.Unlock()
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
