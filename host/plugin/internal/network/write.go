package network

import (
	"io"

	"github.com/waddle-sessions/waddle/abi"
)

// outbound is what the guest wrote and was not sent.
type outbound struct {
	data    []byte
	writing bool
	shut    bool // the guest writes no more
	errno   int32
}

const maxOut = 64 << 10

// Write sends p, or as much of it as there is room for in time.
func (c *Conn) Write(p []byte, until Until) (n int, errno int32) {
	for {
		c.mu.Lock()
		m, errno := c.put(p[n:])
		c.mu.Unlock()
		n += m
		if errno == 0 && n == len(p) {
			return n, 0
		}
		if errno == 0 || errno == abi.ErrnoAgain {
			_, errno = c.Wait(abi.WaitWrite, until)
		}
		if errno != 0 {
			if n > 0 {
				return n, 0
			}
			return 0, errno
		}
	}
}

func (c *Conn) put(p []byte) (int, int32) {
	if errno := c.unusable(); errno != 0 {
		return 0, errno
	}
	if c.out.errno != 0 {
		return 0, c.out.errno
	}
	if c.out.shut {
		return 0, abi.ErrnoPipe
	}
	n := min(len(p), maxOut-len(c.out.data))
	c.out.data = append(c.out.data, p[:n]...)
	if n == 0 && len(p) > 0 {
		return 0, abi.ErrnoAgain
	}
	c.table.network.counts.out.Add(int64(n))
	if !c.out.writing {
		c.out.writing = true
		c.table.network.work.Go(c.flush)
	}
	return n, 0
}

// flush sends until there is nothing left.
func (c *Conn) flush() {
	for {
		c.mu.Lock()
		if len(c.out.data) == 0 || c.state != stateReady {
			c.out.writing = false
			if c.out.shut && c.state == stateReady {
				c.closeWrite()
			}
			c.wake()
			c.mu.Unlock()
			return
		}
		w, data := io.Writer(c.sock), c.out.data
		if c.tls != nil {
			w = c.tls
		}
		c.mu.Unlock()
		n, err := w.Write(data)
		c.mu.Lock()
		c.out.data = c.out.data[n:]
		if err != nil {
			f := failed(err)
			c.out.errno, c.words, c.out.data = f.errno, f.words, nil
		}
		c.wake()
		c.mu.Unlock()
	}
}

// CloseWrite tells the other side that nothing more comes.
func (c *Conn) CloseWrite() int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errno := c.unusable(); errno != 0 {
		return errno
	}
	if !c.out.shut {
		c.out.shut = true
		if !c.out.writing {
			c.closeWrite()
		}
	}
	return 0
}

func (c *Conn) closeWrite() {
	if c.tls != nil {
		c.tls.CloseWrite()
	} else if w, ok := c.sock.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
}

func (c *Conn) writable() bool {
	return len(c.out.data) < maxOut || c.out.errno != 0 || c.out.shut
}
