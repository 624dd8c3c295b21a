package topology

import (
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

const (
	// idle is how long a connection may have been idle before it is asked whether the
	// other side has closed it. A command over such a connection is lost, and nobody knows
	// whether it was done.
	idle = 50 * time.Millisecond

	// Servers that are not ready are asked again after a pause, which is twice as long in
	// each round.
	firstPause = 10 * time.Millisecond
	mostPause  = 200 * time.Millisecond

	// A server that answered nothing is given less time until it has answered, so that
	// others do not wait for it again and again.
	suspectWait = 200 * time.Millisecond
)

// core is what all topologies have in common.
type core struct {
	Options
	now, until time.Time // of the call
	call       uint64
	round      uint64 // since the beginning
	inCall     uint   // round of the call, from 1 on
	paused     bool   // in this round

	conns   uint64 // changes whenever a server is connected to again
	layout  uint64 // changes whenever a key is found to have another server
	scanned position
}

// server is one server, and the connection to it.
type server struct {
	address string
	conn    *resp.Conn
	dialled bool // once at least
	suspect bool // it answered nothing

	call  uint64 // in which conn was used last
	used  time.Time
	round uint64 // in which it could not be reached
	err   error
}

func (c *core) Begin(now, until time.Time) {
	c.now, c.until = now, until
	c.call++
	c.inCall = 0
	c.Round()
}

func (c *core) Round() {
	c.round++
	c.inCall++
	c.paused = false
}

// connect returns the connection to a server. It is made if there is none, within half of
// the time that is left: the other half is for finding another server.
func (c *core) connect(s *server, dial func(string, time.Time) (*resp.Conn, error)) (*resp.Conn, error) {
	if c.usable(s) {
		return s.conn, nil
	}
	if s.err != nil && s.round == c.round {
		return nil, s.err
	}
	now := time.Now()
	until := now.Add(c.until.Sub(now) / 2)
	if soon := now.Add(suspectWait); s.suspect && soon.Before(until) {
		until = soon
	}
	conn, err := dial(s.address, until)
	if err != nil {
		s.err, s.round = err, c.round
		s.suspect = s.suspect || !time.Now().Before(until)
		return nil, err
	}
	if s.dialled {
		c.conns++
	}
	conn.SetDeadline(c.until)
	*s = server{address: s.address, conn: conn, dialled: true, call: c.call, used: c.now}
	return conn, nil
}

// usable reports whether there is a connection that nobody is known to have closed.
func (c *core) usable(s *server) bool {
	if s.conn == nil {
		return false
	}
	if s.conn.Err() == nil && (s.call == c.call || c.now.Sub(s.used) < idle || alive(s.conn)) {
		if s.call != c.call {
			s.conn.SetDeadline(c.until)
			s.call, s.used = c.call, c.now
		}
		return true
	}
	s.close()
	return false
}

// alive asks the connection below, which knows without a round trip.
func alive(conn *resp.Conn) bool {
	stream, ok := conn.Stream().(interface{ Alive() bool })
	return !ok || stream.Alive()
}

// lose forgets the connection of a server, which has failed.
func (c *core) lose(s *server) {
	if !time.Now().Before(c.until) {
		s.suspect = true
	}
	s.close()
}

func (s *server) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// pause waits for servers that are not ready, once in a round.
func (c *core) pause() {
	if c.paused {
		return
	}
	c.paused = true
	pause := min(firstPause<<min(c.inCall-1, 8), mostPause)
	if left := time.Until(c.until); left > pause {
		time.Sleep(pause)
	}
}
