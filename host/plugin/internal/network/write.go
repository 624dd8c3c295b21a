package network

import (
	"errors"

	"github.com/waddle-sessions/waddle/abi"
)

// outbound is what the guest wrote and was not sent. Without TLS there is nothing, where
// the system takes what it has room for without waiting.
type outbound struct {
	data  []byte
	sent  int   // of data
	busy  bool  // somebody writes to the socket, or waits for room
	shut  bool  // the guest writes no more
	errno int32 // why nothing more is sent
}

// The bounds of what is not sent: how much of what the guest wrote, and how much room
// there must be for more, so that records of TLS do not become tiny.
const (
	maxOut  = 64 << 10
	minRoom = 16 << 10
)

func (out *outbound) pending() int { return len(out.data) - out.sent }

func (out *outbound) room() int {
	room := maxOut - out.pending()
	if room < minRoom {
		return 0
	}
	return room
}

// advance notes that more was sent.
func (out *outbound) advance(n int) {
	out.sent += n
	if out.sent < len(out.data) {
		return
	}
	out.data, out.sent = out.data[:0], 0
	if cap(out.data) > minRoom {
		out.data = nil
	}
}

func (out *outbound) drop() { out.data, out.sent = nil, 0 }

// Write sends p, or as much of it as there is room for in time.
func (c *Conn) Write(p []byte, until Until) (n int, errno int32) {
	c.mu.Lock()
	for {
		var m int
		m, errno = c.send(p[n:], until)
		n += m
		if errno != 0 && errno != abi.ErrnoAgain || n == len(p) && errno == 0 || !until.waits() {
			break
		}
		c.mu.Unlock()
		_, errno = c.Wait(abi.WaitWrite, until)
		c.mu.Lock()
		if errno != 0 {
			break
		}
	}
	c.mu.Unlock()
	if n > 0 {
		c.table.network.counts.out.Add(int64(n))
		errno = 0
	}
	return n, errno
}

// send sends p, or puts it aside. The caller holds the lock, which is let go meanwhile.
func (c *Conn) send(p []byte, until Until) (n int, errno int32) {
	errno = c.unusable()
	switch {
	case errno != 0:
	case c.out.errno != 0:
		errno = c.out.errno
	case c.out.shut:
		errno = abi.ErrnoPipe
	case len(p) == 0:
	case c.tls == nil && c.direct():
		return c.sendNow(p, until)
	default:
		return c.sendSoon(p)
	}
	return 0, errno
}

// sendNow gives p to the system, from where it is.
func (c *Conn) sendNow(p []byte, until Until) (n int, errno int32) {
	if c.out.busy {
		return 0, abi.ErrnoAgain
	}
	how, e := c.table.network.patience(until)
	defer e.release()
	c.out.busy = true
	c.mu.Unlock()
	n, err := c.sock.write(p, how)
	c.mu.Lock()
	c.out.busy = false
	errno = c.written(err)
	c.wake()
	return n, errno
}

// written returns what an error of a write means, and keeps it.
func (c *Conn) written(err error) int32 {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errAgain):
		return abi.ErrnoAgain
	case c.state == stateClosed:
		return c.errno
	case c.out.errno == 0:
		c.out.errno = c.lost(err)
		c.out.drop()
	}
	return c.out.errno
}

// sendSoon puts p aside, as far as there is room, and sends what the system takes.
func (c *Conn) sendSoon(p []byte) (n int, errno int32) {
	n = min(len(p), c.out.room())
	if n == 0 {
		return 0, abi.ErrnoAgain
	}
	if tls := c.tls; tls == nil {
		c.out.data = append(c.out.data, p[:n]...)
	} else {
		c.mu.Unlock()
		_, err := tls.conn.Write(p[:n])
		c.mu.Lock()
		if err != nil {
			return 0, c.written(err)
		}
	}
	c.drain()
	return n, 0
}

// drain sends what was put aside; a goroutine sends what would wait. The caller holds the
// lock, which is let go meanwhile.
func (c *Conn) drain() {
	if c.state == stateClosed && !c.lingering {
		c.out.drop() // TLS may have written while the connection was closed
	}
	if c.out.busy || c.out.pending() == 0 {
		return
	}
	c.out.busy = true
	if c.direct() && c.sendPending(patience{}) {
		return
	}
	c.table.network.work.Go(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for !c.sendPending(patience{waits: true}) {
		}
	})
}

// sendPending sends once what was put aside. It returns true, and lets others write, if
// nothing is left.
func (c *Conn) sendPending(how patience) bool {
	data := c.out.data[c.out.sent:]
	c.mu.Unlock()
	n, err := c.sock.write(data, how)
	c.mu.Lock()
	if c.over {
		c.out.busy = false
		return true
	}
	c.out.advance(n)
	if how.waits && errors.Is(err, errAgain) {
		err = errLinger
	}
	if errno := c.written(err); errno != 0 && errno != abi.ErrnoAgain {
		c.out.drop()
	}
	c.wake()
	if c.out.pending() > 0 {
		return false
	}
	c.out.busy = false
	if c.out.shut && c.tls == nil && c.state == stateReady {
		c.sock.closeWrite()
	}
	if c.lingering {
		c.cut()
	}
	return true
}

// errLinger is when what was written before Close was not sent in time.
var errLinger = errors.New("closed before all was sent")

// CloseWrite tells the other side that nothing more comes, after what was written.
func (c *Conn) CloseWrite() int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errno := c.unusable(); errno != 0 {
		return errno
	}
	c.shut()
	return 0
}

// shut is CloseWrite. The caller holds the lock, which is let go meanwhile.
func (c *Conn) shut() {
	if c.out.shut {
		return
	}
	c.out.shut = true
	if tls := c.tls; tls != nil {
		c.mu.Unlock()
		tls.conn.CloseWrite()
		c.mu.Lock()
		c.drain()
	} else if c.out.pending() == 0 {
		c.sock.closeWrite()
	}
}

// roomy reports whether Write would not wait. The caller holds the lock.
func (c *Conn) roomy() bool {
	switch {
	case c.out.errno != 0 || c.out.shut:
		return true
	case c.tls == nil && c.direct():
		if c.out.busy {
			return false
		}
		n, err := c.sock.tryWrite(nil)
		return n > 0 || !errors.Is(err, errAgain)
	}
	return c.out.room() > 0
}

// awaitRoom lets a goroutine wait for room, unless somebody writes. The caller holds the
// lock.
func (c *Conn) awaitRoom() {
	if c.out.busy || c.tls != nil || !c.direct() {
		return
	}
	c.out.busy = true
	c.table.network.work.Go(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.untilRoom(patience{waits: true})
	})
}

// untilRoom waits for room. The caller holds the lock, which is let go meanwhile, and has
// set busy.
func (c *Conn) untilRoom(how patience) {
	c.mu.Unlock()
	c.sock.write(nil, how)
	c.mu.Lock()
	c.out.busy = false
	c.wake()
}
