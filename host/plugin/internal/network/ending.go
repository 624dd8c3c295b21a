package network

import (
	"maps"
	"slices"
	"sync"
)

// endings watch the channels that end waits. A wait in the system cannot look at a channel,
// so a goroutine does, for all waits that have the same one. It stays when they have
// ended: the next wait mostly has that channel again.
type endings struct {
	mu     sync.Mutex
	closed bool
	of     map[<-chan struct{}]*ending
	idle   *ending
}

// ending is one such channel.
type ending struct {
	in    *endings
	done  <-chan struct{}
	stop  chan struct{}
	waits int
}

// watch lets done end the waits that begin with it, until the ending is released. It
// returns nil if they have ended already.
func (s *endings) watch(n *Network, done <-chan struct{}) *ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || isDone(done) {
		return nil
	}
	e := s.of[done]
	if e == nil {
		e = &ending{in: s, done: done, stop: make(chan struct{})}
		if s.of == nil {
			s.of = map[<-chan struct{}]*ending{}
		}
		s.of[done] = e
		n.work.Go(func() { n.interrupt(e) })
	}
	e.waits++
	if s.idle == e {
		s.idle = nil
	}
	return e
}

// release is the end of a wait.
func (e *ending) release() {
	if e == nil {
		return
	}
	s := e.in
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.waits--; e.waits > 0 || s.of[e.done] != e {
		return
	}
	if s.idle != nil {
		delete(s.of, s.idle.done)
		close(s.idle.stop)
	}
	s.idle = e
}

// interrupt waits for the channel, and ends what waits with it.
func (n *Network) interrupt(e *ending) {
	select {
	case <-e.stop:
		return
	case <-n.ctx.Done(): // which cuts all connections
		return
	case <-e.done:
	}
	s := &n.endings
	s.mu.Lock()
	delete(s.of, e.done)
	if s.idle == e {
		s.idle = nil
	}
	s.mu.Unlock()
	n.mu.Lock()
	tables := slices.Collect(maps.Keys(n.tables))
	n.mu.Unlock()
	for _, t := range tables {
		for _, c := range t.all() {
			c.mu.Lock()
			if c.sock != nil {
				c.sock.interrupt(e.done)
			}
			c.mu.Unlock()
		}
	}
}

// close lets nothing be watched any more.
func (s *endings) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
