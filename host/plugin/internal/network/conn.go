package network

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
)

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

	mu      sync.Mutex
	state   state
	working bool   // a goroutine makes the connection, and gives its room back if it is closed
	errno   int32  // of a connection that failed
	words   string // what failed last
	sock    net.Conn
	tls     *tls.Conn
	in      inbound
	out     outbound
	waiters []*waiter
}

func newConn(t *Table, target target) *Conn {
	c := &Conn{table: t, target: target, working: true}
	c.making, c.cancel = context.WithCancel(t.network.ctx)
	return c
}

// Failure says in words what failed last, or is "". It has no secrets.
func (c *Conn) Failure() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.words
}

// Close closes the connection and gives its number back. What was written is still sent.
func (c *Conn) Close() {
	c.table.remove(c)
	c.cut()
}

// cut closes the connection at once.
func (c *Conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateClosed {
		return
	}
	c.state, c.errno = stateClosed, abi.ErrnoReset
	c.cancel()
	if c.sock != nil {
		c.sock.Close()
	}
	if !c.working {
		c.table.network.giveConn()
	}
	c.wake()
}

// begun is what making, or a handshake, ended with.
func (c *Conn) begun(sock net.Conn, secure *tls.Conn, f *failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working = false
	n := c.table.network
	if c.state == stateClosed {
		if sock != nil {
			sock.Close()
		}
		n.giveConn()
		return
	}
	if f != nil {
		c.state, c.errno, c.words = stateFailed, f.errno, f.words
		if c.sock != nil {
			c.sock.Close()
		}
	} else {
		c.state, c.sock, c.tls = stateReady, sock, secure
	}
	c.wake()
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

func (c *Conn) buffered() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.in.data)) + int64(len(c.out.data))
}
