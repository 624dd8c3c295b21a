package network

import (
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// Until is how long to wait. The zero value does not wait.
type Until struct {
	At   time.Time       // the moment when waiting ends
	Done <-chan struct{} // ends it before, unless it is nil; best the same one for all calls
}

func (u Until) waits() bool { return !u.At.IsZero() && time.Now().Before(u.At) }

// patience returns how long a call of the system waits, and what lets Done end that, which
// is released afterwards.
func (n *Network) patience(u Until) (patience, *ending) {
	if !u.waits() {
		return patience{}, nil
	}
	if u.Done == nil {
		return patience{waits: true, at: u.At}, nil
	}
	e := n.endings.watch(n, u.Done)
	if e == nil {
		return patience{}, nil
	}
	return patience{true, u.At, u.Done}, e
}

// Subscription is what [Poll] waits for.
type Subscription struct {
	Conn   *Conn
	Events int32 // abi.WaitRead, abi.WaitWrite or both
	Ready  int32 // those that are there; all of them if the connection failed or was closed
}

// Poll waits until any of the events is there, or until the time has come. Without any, it
// waits for the time.
func Poll(subs []Subscription, until Until) {
	if len(subs) == 1 && subs[0].wait(until) {
		return
	}
	if look(subs, false) || !until.waits() {
		return
	}
	w := newWaiter(until.At)
	for i := range subs {
		subs[i].Conn.watch(w)
	}
	for !look(subs, true) && w.wait(until.Done) {
	}
	for i := range subs {
		subs[i].Conn.unwatch(w)
	}
	w.free()
}

// look fills in what is ready, and reports whether anything is. What is not can be made to
// wake those who wait.
func look(subs []Subscription, arm bool) (any bool) {
	for i := range subs {
		s := &subs[i]
		s.Ready = s.Conn.look(s.Events, arm)
		any = any || s.Ready != 0
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

// wait waits without the help of other goroutines, if that is possible.
func (s *Subscription) wait(until Until) bool {
	c := s.Conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateReady || !c.direct() {
		return false
	}
	reads := s.Events == abi.WaitRead && c.in.empty() && !c.in.reading
	writes := s.Events == abi.WaitWrite && c.tls == nil && !c.out.busy && !c.roomy()
	if !reads && !writes {
		return false
	}
	how, e := c.table.network.patience(until)
	defer e.release()
	if reads {
		c.in.reading = true
		c.fill(how)
	} else if how.waits {
		c.out.busy = true
		c.untilRoom(how)
	}
	s.Ready = c.ready(s.Events)
	return true
}

// look returns the events that are there. If some are not, and arm is true, goroutines wait
// for them.
func (c *Conn) look(events int32, arm bool) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if events&abi.WaitRead != 0 && c.state == stateReady && c.in.empty() && !c.in.reading && c.direct() {
		c.in.reading = true
		c.fill(patience{})
	}
	ready := c.ready(events)
	if arm && c.state == stateReady {
		if events&^ready&abi.WaitRead != 0 {
			c.pump()
		}
		if events&^ready&abi.WaitWrite != 0 {
			c.awaitRoom()
		}
	}
	return ready
}

// ready returns the events that are known to be there. The caller holds the lock.
func (c *Conn) ready(events int32) (ready int32) {
	switch c.state {
	case stateMaking:
		return 0
	case stateReady:
		if events&abi.WaitRead != 0 && !c.in.empty() {
			ready |= abi.WaitRead
		}
		if events&abi.WaitWrite != 0 && c.roomy() {
			ready |= abi.WaitWrite
		}
		return ready
	}
	return events
}
