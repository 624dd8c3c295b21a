package network

import (
	"errors"
	"io"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
)

// inbound is what the other side sent and the guest has not read.
type inbound struct {
	data    []byte  // within space
	space   *buffer // nil if there is no data
	reading bool    // somebody reads from the socket
	ended   bool    // nothing more comes
	errno   int32   // why; 0 if the other side said so
}

// buffer is what the host reads into if it looks whether there is something.
type buffer [16 << 10]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (in *inbound) empty() bool { return len(in.data) == 0 && !in.ended }

func (in *inbound) drop() {
	if in.space != nil {
		buffers.Put(in.space)
	}
	in.data, in.space = nil, nil
}

// Read reads what there is into p, and waits if there is nothing. 0 bytes without an error
// are the end.
func (c *Conn) Read(p []byte, until Until) (n int, errno int32) {
	c.mu.Lock()
	for {
		n, errno = c.take(p)
		if errno == abi.ErrnoAgain && c.state == stateReady && !c.in.reading && c.direct() {
			how, e := c.table.network.patience(until)
			c.in.reading = true
			n, errno = c.receive(p, how)
			e.release()
			c.table.network.counts.in.Add(int64(n))
			break
		}
		if errno != abi.ErrnoAgain || !until.waits() {
			break
		}
		c.mu.Unlock()
		_, errno = c.Wait(abi.WaitRead, until)
		c.mu.Lock()
		if errno != 0 {
			break
		}
	}
	c.mu.Unlock()
	return n, errno
}

// take takes from what the host has read.
func (c *Conn) take(p []byte) (int, int32) {
	if errno := c.unusable(); errno != 0 {
		return 0, errno
	}
	if len(c.in.data) > 0 || len(p) == 0 {
		n := copy(p, c.in.data)
		c.in.data = c.in.data[n:]
		if len(c.in.data) == 0 {
			c.in.drop()
			c.arm()
		}
		c.table.network.counts.in.Add(int64(n))
		return n, 0
	}
	if c.in.ended {
		return 0, c.in.errno
	}
	return 0, abi.ErrnoAgain
}

// receive reads from the socket into p. The caller holds the lock, which is let go
// meanwhile, and has set reading.
func (c *Conn) receive(p []byte, how patience) (n int, errno int32) {
	sock, tls := c.sock, c.tls
	c.mu.Unlock()
	var err error
	if tls == nil {
		n, err = sock.read(p, how)
	} else {
		tls.how = how
		n, err = tls.conn.Read(p)
	}
	c.mu.Lock()
	if tls != nil {
		c.drain() // TLS may have answered; this lets go of the lock, so nobody else may read yet
	}
	c.in.reading = false
	switch {
	case err == nil:
	case err == errAgain || errors.Is(err, errAgain):
		errno = abi.ErrnoAgain
	case c.state == stateClosed:
		errno = c.errno
	case err == io.EOF:
		c.in.ended = true
	default:
		c.in.ended, c.in.errno = true, c.lost(err)
		errno = c.in.errno
	}
	c.wake()
	if n > 0 {
		errno = 0
	}
	return n, errno
}

// fill reads once into the host's buffer, like receive.
func (c *Conn) fill(how patience) {
	space := buffers.Get().(*buffer)
	n, _ := c.receive(space[:], how)
	if n == 0 || c.state == stateFailed || c.state == stateClosed {
		buffers.Put(space)
		return
	}
	c.in.space, c.in.data = space, space[:n]
}

// arm lets a goroutine read where nothing else tells whether there is something. The
// caller holds the lock.
func (c *Conn) arm() {
	if !c.direct() {
		c.pump()
	}
}

// pump lets a goroutine read once, unless somebody reads. The caller holds the lock.
func (c *Conn) pump() {
	if c.state != stateReady || c.in.reading || !c.in.empty() {
		return
	}
	c.in.reading = true
	c.table.network.work.Go(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fill(patience{waits: true})
	})
}
