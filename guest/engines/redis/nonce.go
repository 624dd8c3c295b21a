package main

import (
	"encoding/binary"

	"github.com/waddle-sessions/waddle/guest"
)

// nonces are random numbers, of which no two writes of any host have the same. They are
// drawn many at a time, since each call of the host has its price, and never before
// Open, which runs in each copy of an instance for itself.
type nonces struct {
	drawn [256]byte
	left  int
}

// next returns a number, which is not 0.
func (n *nonces) next() uint64 {
	for {
		if n.left == 0 {
			guest.Random(n.drawn[:])
			n.left = len(n.drawn)
		}
		n.left -= 8
		if x := binary.LittleEndian.Uint64(n.drawn[n.left:]); x != 0 {
			return x
		}
	}
}
