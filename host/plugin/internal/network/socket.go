package network

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// socket is a connection of the system. One goroutine at a time reads, and one writes.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn // nil if calls cannot be kept from waiting

	in, out side
}

// side is one direction of a socket. What a call gets and returns is here, so that the
// functions which the runtime calls back are made once: calls then allocate nothing.
type side struct {
	p   []byte
	n   int
	err error

	try  func(fd uintptr)
	wait func(fd uintptr) bool

	mu    sync.Mutex
	limit time.Time       // waits end by then, whatever they are given; zero is no limit
	done  <-chan struct{} // ends the wait that is under way; see [socket.interrupt]
}

// errAgain is what calls return that do not wait, or did not get anything in time. The
// package crypto/tls lets a call that failed so be made again, since it is temporary.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "nothing in time" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// past is a deadline that is over.
var past = time.Unix(1, 0)

// newSocket takes a connection over. A portable socket is used as on systems where calls
// cannot be kept from waiting.
func newSocket(conn net.Conn, portable bool) *socket {
	s := &socket{conn: conn}
	if !portable {
		s.init()
	}
	return s
}

// patience is how long a call of a socket may wait. The zero value does not wait.
type patience struct {
	waits bool
	at    time.Time       // zero is without an end
	done  <-chan struct{} // nil, or watched by an [ending]
}

func (s *socket) read(p []byte, how patience) (int, error) {
	if !how.waits {
		return s.tryRead(p)
	}
	err := s.in.within(how, s.conn, net.Conn.SetReadDeadline)
	if err != nil {
		return 0, timely(err)
	}
	n, err := s.waitRead(p)
	return n, timely(err)
}

// write sends all of p unless its time ends.
func (s *socket) write(p []byte, how patience) (int, error) {
	if !how.waits {
		return s.tryWrite(p)
	}
	err := s.out.within(how, s.conn, net.Conn.SetWriteDeadline)
	if err != nil {
		return 0, timely(err)
	}
	n, err := s.waitWrite(p)
	return n, timely(err)
}

// within sets the deadline of a call that begins.
func (d *side) within(how patience, conn net.Conn, set func(net.Conn, time.Time) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done = how.done; isDone(how.done) {
		return errAgain
	}
	at := how.at
	if !d.limit.IsZero() && (at.IsZero() || d.limit.Before(at)) {
		at = d.limit
	}
	return set(conn, at)
}

// end lets the call that is under way, and later ones, wait until then at most.
func (d *side) end(at time.Time, conn net.Conn, set func(net.Conn, time.Time) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = at
	set(conn, at)
}

// limitReads ends the read that is under way, and later ones, by then. Zero lifts that.
func (s *socket) limitReads(at time.Time) { s.in.end(at, s.conn, net.Conn.SetReadDeadline) }

// limitWrites is limitReads for writes.
func (s *socket) limitWrites(at time.Time) { s.out.end(at, s.conn, net.Conn.SetWriteDeadline) }

// interrupt ends the calls that are under way with a channel, which is closed. Those that
// begin later see that themselves.
func (s *socket) interrupt(done <-chan struct{}) {
	s.in.interrupt(done, s.conn, net.Conn.SetReadDeadline)
	s.out.interrupt(done, s.conn, net.Conn.SetWriteDeadline)
}

func (d *side) interrupt(done <-chan struct{}, conn net.Conn, set func(net.Conn, time.Time) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == done {
		set(conn, past)
	}
}

// timely turns the error of a deadline into errAgain.
func timely(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errAgain
	}
	return err
}

// closeWrite tells the other side that nothing more comes.
func (s *socket) closeWrite() error {
	if w, ok := s.conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
