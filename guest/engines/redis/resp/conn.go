package resp

import (
	"errors"
	"io"
	"time"
)

// Stream is what a Conn needs of a net.Conn.
type Stream interface {
	io.Reader
	io.Writer
	io.Closer
	SetDeadline(time.Time) error
}

// Limits bound what one reply may make the client allocate. A field that is 0 has its
// default.
type Limits struct {
	Bytes    int // of the lines and strings of a reply; default 16 MiB and 64 KiB
	Elements int // of all arrays of a reply; default 65,536
	Depth    int // of arrays within arrays; default 8
}

// Errors of a connection. Errors of the stream, such as io.EOF, are passed on.
var (
	ErrMalformed  = errors.New("resp: the server's answer is not RESP2")
	ErrTooLarge   = errors.New("resp: the server's answer is larger than allowed")
	ErrClosed     = errors.New("resp: the connection was closed")
	ErrUnexpected = errors.New("resp: no command is waiting for an answer")
)

// Buffers are kept at their usual size. One that had to grow for a large value is
// given back when the next reply or command does not need it.
const (
	usualIn  = 16 << 10
	usualOut = 4 << 10
	keepIn   = 256 << 10
	keepOut  = 256 << 10

	// What is appended beyond flushAt is written at once, so that a long list of commands
	// needs no buffer of its length. An argument of directAt bytes is written from where it
	// lies.
	flushAt  = 128 << 10
	directAt = 32 << 10
)

// Conn is a connection to a server. It is for one goroutine.
type Conn struct {
	// Notes are for whoever uses the connection, such as what the server has been told
	// over it.
	Notes uint32

	stream Stream
	limits Limits
	err    error // the first error; the stream is closed then

	out      []byte
	ends     []int  // where the commands in out end, the one that is being appended not included
	open     int    // arguments that the command being appended still lacks
	appended uint64 // commands begun, from the first on
	sent     uint64 // commands that were written to the end
	answered uint64 // commands whose answer was read

	in       []byte
	from     int // where the reply that was read last begins
	at       int // where reading continues
	end      int // of what arrived
	elements []Reply
	large    bool // the last reply needed a large buffer
}

// NewConn returns a connection that speaks over the stream, and owns it.
func NewConn(stream Stream, limits Limits) *Conn {
	if limits.Bytes == 0 {
		limits.Bytes = 16<<20 + 64<<10
	}
	if limits.Elements == 0 {
		limits.Elements = 1 << 16
	}
	if limits.Depth == 0 {
		limits.Depth = 8
	}
	return &Conn{stream: stream, limits: limits}
}

// SetDeadline sets the moment at which waiting ends with the stream's error.
func (c *Conn) SetDeadline(t time.Time) {
	if c.err == nil {
		if err := c.stream.SetDeadline(t); err != nil {
			c.fail(err)
		}
	}
}

// Err returns the error that ended the connection, nil while it can be used.
func (c *Conn) Err() error { return c.err }

// Appended returns how many commands were begun since the connection was made. The
// number of a command, from 0, is what Appended returned before it was begun.
func (c *Conn) Appended() uint64 { return c.appended }

// Sent returns how many commands the stream has taken to their last byte. The server
// cannot have done any other.
func (c *Conn) Sent() uint64 { return c.sent }

// Pending returns how many commands have no answer yet.
func (c *Conn) Pending() int { return int(c.appended - c.answered) }

// Close ends the connection.
func (c *Conn) Close() {
	if c.err == nil {
		c.fail(ErrClosed)
	}
}

// Stream returns what the connection speaks over.
func (c *Conn) Stream() Stream { return c.stream }

func (c *Conn) fail(err error) error {
	if c.err == nil {
		c.err = err
		_ = c.stream.Close()
		// A reply that the caller still looks at keeps its bytes.
		c.out, c.ends = nil, nil
	}
	return c.err
}
