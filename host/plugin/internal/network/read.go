package network

import (
	"io"

	"github.com/waddle-sessions/waddle/abi"
)

// inbound is what the other side sent and the guest has not read.
type inbound struct {
	data    []byte // within space
	space   []byte
	reading bool // somebody reads
	ended   bool // nothing more comes
	errno   int32
}

const bufferSize = 16 << 10

// Read reads what there is into p, and waits if there is nothing. 0 bytes without an error
// are the end.
func (c *Conn) Read(p []byte, until Until) (n int, errno int32) {
	for {
		c.mu.Lock()
		n, errno = c.take(p)
		c.mu.Unlock()
		if errno != abi.ErrnoAgain {
			return n, errno
		}
		if _, errno := c.Wait(abi.WaitRead, until); errno != 0 {
			return 0, errno
		}
	}
}

// take takes from what the host has read.
func (c *Conn) take(p []byte) (int, int32) {
	if errno := c.unusable(); errno != 0 {
		return 0, errno
	}
	if len(c.in.data) > 0 || len(p) == 0 {
		n := copy(p, c.in.data)
		c.in.data = c.in.data[n:]
		c.table.network.counts.in.Add(int64(n))
		return n, 0
	}
	if c.in.ended {
		return 0, c.in.errno
	}
	return 0, abi.ErrnoAgain
}

// readable reports whether Read would not wait. If it would, somebody reads.
func (c *Conn) readable() bool {
	if len(c.in.data) > 0 || c.in.ended {
		return true
	}
	if !c.in.reading {
		c.in.reading = true
		c.table.network.work.Go(c.fill)
	}
	return false
}

// fill reads once into the host's buffer.
func (c *Conn) fill() {
	c.mu.Lock()
	if c.in.space == nil {
		c.in.space = make([]byte, bufferSize)
	}
	r, space := io.Reader(c.sock), c.in.space
	if c.tls != nil {
		r = c.tls
	}
	c.mu.Unlock()
	n, err := r.Read(space)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in.reading = false
	c.in.data = space[:n]
	if err != nil {
		c.in.ended = true
		if err != io.EOF {
			f := failed(err)
			c.in.errno, c.words = f.errno, f.words
		}
	}
	c.wake()
}
