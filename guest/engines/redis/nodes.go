package main

import (
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// nodes are the servers that keep the records.
type nodes interface {
	// Begin begins a call, which ends at a moment at the latest.
	Begin(until time.Time)

	// For returns the connection to the server of a key.
	For(key []byte) (*resp.Conn, error)

	// Redirect says where a command has to be sent that a server has turned away, and
	// whether it has to be preceded by ASKING. The connection is nil if the error means
	// something else.
	Redirect(refused resp.Error, key []byte) (conn *resp.Conn, asking bool, err error)

	// Failed forgets a connection.
	Failed(conn *resp.Conn)

	// Masters returns connections to all servers that keep records.
	Masters() ([]*resp.Conn, error)

	// Close ends all connections.
	Close()
}

// oneServer is a server that stands alone.
type oneServer struct {
	dial  func() (*resp.Conn, error)
	conn  *resp.Conn
	until time.Time // the end of the last call
	all   [1]*resp.Conn
}

// idle is how long a connection may have been idle before it is asked whether the other
// side has closed it. A command that is sent over such a connection is lost, and
// nobody knows whether it was done.
const idle = 50 * time.Millisecond

func (s *oneServer) Begin(until time.Time) {
	last := s.until
	if s.until = until; s.conn == nil {
		return
	}
	if until.Sub(last) > idle && !s.conn.Alive() {
		s.conn.Close()
	}
	s.conn.SetDeadline(until)
}

func (s *oneServer) For([]byte) (*resp.Conn, error) { return s.get() }

func (s *oneServer) get() (*resp.Conn, error) {
	if s.conn != nil && s.conn.Err() == nil {
		return s.conn, nil
	}
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	s.conn = conn
	return conn, nil
}

func (s *oneServer) Redirect(resp.Error, []byte) (*resp.Conn, bool, error) { return nil, false, nil }

func (s *oneServer) Failed(conn *resp.Conn) {
	if s.conn == conn {
		s.conn = nil
	}
}

func (s *oneServer) Masters() ([]*resp.Conn, error) {
	conn, err := s.get()
	if err != nil {
		return nil, err
	}
	s.all[0] = conn
	return s.all[:], nil
}

func (s *oneServer) Close() {
	if s.conn != nil {
		s.conn.Close()
	}
}
