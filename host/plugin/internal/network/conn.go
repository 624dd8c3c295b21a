package network

import (
	"context"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// state is what a connection has come to.
type state uint8

const (
	stateMaking state = iota // or its TLS is
	stateReady
	stateFailed
	stateClosed
)

// Conn is one connection. Its methods return errors as WASI's numbers: EAGAIN if what they
// wait for was not there in time.
type Conn struct {
	table  *Table
	target target
	fd     int32

	making context.Context // ends with the connection
	cancel context.CancelFunc

	mu        sync.Mutex
	state     state
	working   bool // a goroutine makes the connection, and ends it if it was closed meanwhile
	lingering bool // it is closed, and ends when all is sent
	over      bool // it has ended
	gone      bool // it was cut by the other side, and counted
	errno     int32
	words     string // what failed last
	sock      *socket
	tls       *secure // nil if there is none
	in        inbound
	out       outbound
	waiters   []*waiter
}

func newConn(t *Table, target target) *Conn {
	c := &Conn{table: t, target: target, working: true}
	c.making, c.cancel = context.WithCancel(t.network.ctx)
	return c
}

// Failure says in words what failed last, or is "". It has no secrets, and no addresses
// that the guest did not name.
func (c *Conn) Failure() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.words
}

// linger is how long what was written may take to be sent after Close.
const linger = 3 * time.Second

// Close closes the connection and gives its number back. What was written is still sent,
// if that takes no longer than three seconds.
func (c *Conn) Close() {
	c.table.remove(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateReady && c.out.errno == 0 {
		c.shut()
		if c.out.pending() > 0 && c.state == stateReady && c.table.keep(c) {
			c.state, c.errno, c.lingering = stateClosed, abi.ErrnoReset, true
			c.sock.limitReads(past)
			c.sock.limitWrites(time.Now().Add(c.table.network.config.linger))
			c.wake()
			return
		}
	}
	c.cut()
}

// cut closes the connection at once. The caller holds the lock.
func (c *Conn) cut() {
	if c.state == stateClosed && !c.lingering {
		return
	}
	c.state, c.errno, c.lingering = stateClosed, abi.ErrnoReset, false
	c.cancel()
	if c.sock != nil {
		c.sock.conn.Close()
	}
	if !c.working {
		c.end()
	}
	c.wake()
}

// end gives back what the connection has taken. The caller holds the lock.
func (c *Conn) end() {
	if c.over {
		return
	}
	c.over = true
	c.in.drop()
	c.out.drop()
	c.table.forget(c)
	c.table.network.giveConn()
}

// made is how a connection, or a handshake, ends.
func (c *Conn) made(sock *socket, tls *secure, f *failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working = false
	if f == nil {
		c.sock, c.tls = sock, tls
	}
	switch {
	case c.state == stateClosed:
		if c.sock != nil {
			c.sock.conn.Close()
		}
		c.end()
	case f != nil:
		c.fail(f)
	default:
		c.state = stateReady
		c.arm()
	}
	c.wake()
}

// fail ends a connection that its guest has not closed yet. The caller holds the lock.
func (c *Conn) fail(f *failure) {
	c.state, c.errno, c.words = stateFailed, f.errno, f.words
	c.in.drop()
	c.out.drop()
	if c.sock != nil {
		c.sock.conn.Close()
	}
}

// unusable returns the error of a connection that is not ready: EAGAIN if it may become so.
func (c *Conn) unusable() int32 {
	switch c.state {
	case stateReady:
		return 0
	case stateMaking:
		return abi.ErrnoAgain
	}
	return c.errno
}

// direct reports whether calls of the system can be kept from waiting.
func (c *Conn) direct() bool { return c.sock.raw != nil }

// buffered returns how many bytes the host holds.
func (c *Conn) buffered() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.in.data) + c.out.pending())
}

// lost notes an error of a connection that had been made. The caller holds the lock.
func (c *Conn) lost(err error) int32 {
	f := failed(err)
	c.words = f.words
	if c.state == stateReady && !c.gone {
		c.gone = true
		n := c.table.network
		n.counts.lost.Add(1)
		n.work.Go(func() { n.tell(Event{Address: c.target.text, Why: f.words}) }) // without the lock
	}
	return f.errno
}
