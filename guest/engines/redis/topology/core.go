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

	// A server that answered nothing is given less time until it has answered, and is not
	// tried again at once, so that others do not wait for it again and again.
	suspectWait  = 200 * time.Millisecond
	suspectPause = time.Second
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
	round uint64    // in which it could not be reached
	next  time.Time // it is not to be tried before
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

// dial is one of the dialers of Options.
type dial = func(address string, until time.Time) (*resp.Conn, error)

// connect returns the connection to a server. It is made if there is none, within half of
// the time that is left: the other half is for finding another server.
func (c *core) connect(s *server, dial dial) (*resp.Conn, error) {
	if c.usable(s) {
		return s.conn, nil
	}
	return c.reach(s, dial, c.share(s, 2))
}

// reach connects to a server.
func (c *core) reach(s *server, dial dial, until time.Time) (*resp.Conn, error) {
	if s.err != nil && (s.round == c.round || c.now.Before(s.next)) {
		return nil, s.err
	}
	conn, err := dial(s.address, until)
	if err == nil && s.suspect {
		err = ping(conn, until)
	}
	if err != nil {
		s.err, s.round = err, c.round
		if now := time.Now(); s.suspect || !now.Before(until) {
			s.suspect, s.next = true, now.Add(suspectPause)
		}
		return nil, err
	}
	if s.dialled {
		c.conns++
	}
	conn.SetDeadline(c.until)
	*s = server{address: s.address, conn: conn, dialled: true, call: c.call, used: c.now}
	return conn, nil
}

// share is until when a server may take, if the time that is left is to do for so many.
func (c *core) share(s *server, among int) time.Time {
	now := time.Now()
	until := now.Add(c.until.Sub(now) / time.Duration(among))
	if soon := now.Add(suspectWait); s.suspect && soon.Before(until) {
		return soon
	}
	return until
}

// ping waits for an answer, whatever it is. A server that hangs is connected to as
// quickly as any other.
func ping(conn *resp.Conn, until time.Time) error {
	conn.SetDeadline(until)
	conn.Do("PING")
	_, err := conn.Read()
	return err
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
