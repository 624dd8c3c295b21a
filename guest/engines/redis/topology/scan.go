package topology

import (
	"errors"
	"math/bits"
)

// position is a place in an enumeration of all servers: on which one it is, and where.
//
// A server's cursor means nothing to a server that was started since, whether that is
// another one or the same again. If one was connected to again, the enumeration of the
// server it is at begins anew. If keys may have moved from a server that was not
// enumerated yet to one that was, all of it is done again at the end.
type position struct {
	node   uint64
	pass   uint64 // how often it has begun
	moved  uint64 // 1 if keys may have moved since the pass began
	layout uint64 // of core, when the place was reached
	conns  uint64
	cursor uint64 // of the server
}

// Bits of a place, from the highest on. The highest of all is 0, and layout is never 0.
const (
	nodeBits   = 8
	passBits   = 2
	movedBits  = 1
	layoutBits = 6
	connsBits  = 6
	cursorBits = 40

	mostMasters = 1 << nodeBits
	lastPass    = 1<<passBits - 1
)

// ErrPlace is returned when a place is none that an enumeration has.
var ErrPlace = errors.New("topology: this is no place of an enumeration")

var errCursor = errors.New("topology: the server's cursor is larger than that of any server that can be enumerated")

func (p *position) place() int64 {
	place := p.node
	place = place<<passBits | p.pass
	place = place<<movedBits | p.moved
	place = place<<layoutBits | p.layout
	place = place<<connsBits | p.conns
	return int64(place<<cursorBits | p.cursor)
}

func positionAt(place int64) (p position) {
	rest := uint64(place)
	cut := func(bits int) uint64 {
		part := rest & (1<<bits - 1)
		rest >>= bits
		return part
	}
	p.cursor, p.conns, p.layout = cut(cursorBits), cut(connsBits), cut(layoutBits)
	p.moved, p.pass, p.node = cut(movedBits), cut(passBits), rest
	return p
}

// layoutMark and connsMark are what a place keeps of the counters.
func (c *core) layoutMark() uint64 { return c.layout%(1<<layoutBits-1) + 1 }
func (c *core) connsMark() uint64  { return c.conns % (1 << connsBits) }

// begin reads a place, and returns the cursor to continue with. The server at the place must
// be connected to, since that may change the cursor.
func (c *core) begin(place int64) (cursor uint64, err error) {
	p := position{layout: c.layoutMark(), conns: c.connsMark()}
	if place != 0 {
		if p = positionAt(place); place < 0 || p.layout == 0 {
			return 0, ErrPlace
		}
	}
	if p.layout != c.layoutMark() {
		p.moved, p.cursor = 1, 0
	}
	if p.conns != c.connsMark() {
		p.cursor = 0
	}
	p.layout, p.conns = c.layoutMark(), c.connsMark()
	c.scanned = p
	return p.cursor, nil
}

// end returns the place that follows the one that begin has read, if there are so many
// servers, and if keys have moved or not since the pass began.
func (c *core) end(next uint64, servers int, moved bool) (int64, error) {
	p := c.scanned
	if bits.Len64(next) > cursorBits {
		return 0, errCursor
	}
	p.cursor = next
	if next == 0 {
		p.node++
	}
	if next == 0 && p.node >= uint64(servers) {
		if !moved && p.moved == 0 || p.pass == lastPass {
			return 0, nil
		}
		p = position{pass: p.pass + 1, layout: c.layoutMark(), conns: c.connsMark()}
	}
	return p.place(), nil
}
