package network

import (
	"sync/atomic"
	"time"
)

// Stats says what was done. All but Conns and Buffered only grow.
type Stats struct {
	Conns    int   // open, being made, or failed and not closed yet
	Buffered int64 // bytes that the host holds, of all connections
	Dials    int64 // begun
	Refused  int64 // addresses that are not granted, asked for or resolved
	Limited  int64 // dials beyond a bound
	Failed   int64 // connections that were not made, and handshakes that failed
	Lost     int64 // connections that were cut after they had been made
	In, Out  int64 // bytes that the guest was given, and that it sent
}

type counts struct {
	conns, dials, refused, limited, failed, lost, in, out atomic.Int64
}

// Stats returns what was done until now.
func (n *Network) Stats() Stats {
	c := &n.counts
	return Stats{
		Conns: int(c.conns.Load()), Buffered: n.buffered(), Dials: c.dials.Load(), Refused: c.refused.Load(), Limited: c.limited.Load(),
		Failed: c.failed.Load(), Lost: c.lost.Load(), In: c.in.Load(), Out: c.out.Load(),
	}
}

// Event is something that whoever runs the host may want to know.
type Event struct {
	Refused bool   // what is not granted was asked for, or a name led there; else something failed
	Address string // as the guest named it, quoted if it is not an address
	Why     string // has no secrets
	Missed  int    // events before this one that were too many to tell
}

// maxTold is how many events are told within a second: a guest causes any number.
const maxTold = 10

// tell tells of an event, unless there were too many. The caller holds no locks.
func (n *Network) tell(e Event) {
	if n.config.Tell == nil {
		return
	}
	if !n.told.take(time.Now()) {
		n.missed.Add(1)
		return
	}
	e.Address, e.Missed = clean(e.Address), int(n.missed.Swap(0))
	n.config.Tell(e)
}
