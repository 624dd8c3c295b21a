package plugin

import (
	"time"

	"github.com/tetratelabs/wazero/sys"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

// sockets are an instance's connections as WASI knows them.
type sockets struct{ *connections }

var _ wasi.Sockets = sockets{}

// Read implements wasi.Sockets.
func (s sockets) Read(fd uint32, p []byte, mayWait bool) (int, uint32) {
	return s.move(fd, p, mayWait, (*network.Conn).Read)
}

// Write implements wasi.Sockets.
func (s sockets) Write(fd uint32, p []byte, mayWait bool) (int, uint32) {
	return s.move(fd, p, mayWait, (*network.Conn).Write)
}

func (s sockets) move(fd uint32, p []byte, mayWait bool, f func(*network.Conn, []byte, network.Until) (int, int32)) (int, uint32) {
	s.inst.charge(socketFuel + int64(len(p))/bytesPerFuel)
	timeout := time.Duration(0)
	if mayWait && s.blocked[int32(fd)] {
		timeout = -1
	}
	n := s.connections.move(uint64(fd), p, timeout, f)
	if n == -abi.ErrnoAgain && !s.spent.IsZero() {
		n = -s.late(time.Now()) // what waited for it was told that it is ready
	}
	if n < 0 {
		return 0, uint32(-n)
	}
	return int(n), 0
}

// Shutdown implements wasi.Sockets.
func (s sockets) Shutdown(fd uint32, _, writing bool) uint32 {
	if !writing {
		return 0 // the other side is not told of that
	}
	return uint32(s.conn(uint64(fd)).CloseWrite())
}

// Close implements wasi.Sockets.
func (s sockets) Close(fd uint32) uint32 { return s.connections.Close(fd) }

// Close closes one connection.
func (c *connections) Close(fd uint32) uint32 {
	conn := c.conn(uint64(fd))
	if conn == nil {
		return uint32(abi.ErrnoBadDescriptor)
	}
	delete(c.blocked, int32(fd))
	conn.Close()
	return 0
}

// Status implements wasi.Sockets.
func (s sockets) Status(fd uint32) (waits, ok bool) {
	return s.blocked[int32(fd)], s.conn(uint64(fd)) != nil
}

// SetWaits implements wasi.Sockets.
func (s sockets) SetWaits(fd uint32, waits bool) uint32 {
	delete(s.blocked, int32(fd))
	if waits {
		if s.blocked == nil {
			s.connections.blocked = make(map[int32]bool)
		}
		s.blocked[int32(fd)] = true
	}
	return 0
}

// polling is what a poll waits for.
type polling struct {
	conns []network.Subscription
	order []int // of what was added: its place in conns, or -1 for a descriptor that there is not
	none  bool  // there is such a descriptor
}

// BeginPoll implements wasi.Sockets.
func (s sockets) BeginPoll() {
	p := &s.connections.polling
	clear(p.conns) // closed connections are not held
	p.conns, p.order, p.none = p.conns[:0], p.order[:0], false
}

// AddPoll implements wasi.Sockets.
func (s sockets) AddPoll(fd uint32, write bool) {
	s.inst.charge(callFuel)
	p, conn := &s.connections.polling, s.conn(uint64(fd))
	if conn == nil {
		p.order, p.none = append(p.order, -1), true
		return
	}
	events := abi.WaitRead
	if write {
		events = abi.WaitWrite
	}
	p.order = append(p.order, len(p.conns))
	p.conns = append(p.conns, network.Subscription{Conn: conn, Events: events})
}

// Wait implements wasi.Sockets.
func (s sockets) Wait(d time.Duration) {
	p := &s.connections.polling
	if p.none {
		d = 0
	}
	errno := s.wait(d, func(until network.Until) int32 {
		network.Poll(p.conns, until)
		for i := range p.conns {
			if p.conns[i].Ready != 0 {
				return 0
			}
		}
		return abi.ErrnoAgain
	})
	if errno == abi.ErrnoTimedOut && len(p.conns) == 0 {
		d = min(d, maxSleep) // who waits for a clock asks again
		s.inst.aside(func() { time.Sleep(d) })
	}
}

// Ready implements wasi.Sockets. When no more waiting is allowed, everything is: who tries finds that
// out.
func (s sockets) Ready(i int) (bool, uint32) {
	p := &s.connections.polling
	at := p.order[i]
	if at < 0 {
		return true, uint32(abi.ErrnoBadDescriptor)
	}
	return p.conns[at].Ready != 0 || !s.spent.IsZero(), 0
}

// Steady implements wasi.Sockets.
func (s sockets) Steady() time.Duration { return steady() }

// steadySince is when the guests' steady clock began.
var steadySince = time.Now()

// steady is the clock of guests that nobody sets.
func steady() time.Duration { return time.Since(steadySince) }

// steadyResolution is how exact it is said to be.
const steadyResolution = sys.ClockResolution(time.Microsecond)
