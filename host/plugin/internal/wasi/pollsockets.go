package wasi

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// subscription is what one of a guest's subscriptions asks for.
type subscription struct {
	user     uint64
	kind     byte
	fd       uint32        // of one that is no clock
	after    time.Duration // of a clock: when it has passed, from the beginning of the poll
	isSocket bool
}

// clockMonotonic is the number of the steady clock.
const clockMonotonic = 1

// clocks are what the guest's clocks say when a poll begins.
type clocks struct{ steady, real time.Duration }

// read reads a subscription of a poll that began then. It reports whether there is such a kind.
func (s *subscription) read(b []byte, began clocks) bool {
	*s = subscription{user: binary.LittleEndian.Uint64(b), kind: b[8]}
	switch s.kind {
	case eventClock:
		s.after = span(binary.LittleEndian.Uint64(b[24:]))
		if b[40]&1 == 1 { // a moment
			if binary.LittleEndian.Uint32(b[16:]) == clockMonotonic {
				s.after -= began.steady
			} else {
				s.after -= began.real
			}
		}
		return true
	case eventRead, eventWrite:
		s.fd = binary.LittleEndian.Uint32(b[16:])
		s.isSocket = s.fd >= FirstSocket
		return true
	}
	return false
}

func span(ns uint64) time.Duration { return time.Duration(min(ns, math.MaxInt64)) }

// pollSockets waits until a descriptor is ready or a clock has passed, and writes an event for
// each that is and has.
func pollSockets(s Sockets, mem api.Memory, from, to, n, result uint32) (errno uint64) {
	if n == 0 || n > maxSocketSubscriptions {
		return inval
	}
	list, ok1 := mem.Read(from, n*subscriptionSize)
	events, ok2 := mem.Read(to, n*eventSize)
	if _, ok3 := mem.ReadUint32Le(result); !ok1 || !ok2 || !ok3 {
		return fault
	}
	s.BeginPoll()
	began := clocks{s.Steady(), time.Duration(time.Now().UnixNano())}
	wait, sub := ahead, subscription{}
	for i := range int(n) {
		if !sub.read(list[i*subscriptionSize:][:subscriptionSize], began) {
			return inval
		}
		switch {
		case sub.kind == eventClock:
			wait = min(wait, sub.after)
		case sub.isSocket:
			s.AddPoll(sub.fd, sub.kind == eventWrite)
		default:
			wait = 0
		}
	}
	s.Wait(max(wait, 0))
	written := writeEvents(s, list, events, began, s.Steady()-began.steady)
	if written == 0 { // the guest may not wait for longer
		written = writeEvents(s, list, events, began, max(wait, 0))
	}
	mem.WriteUint32Le(result, uint32(written))
	return success
}

// writeEvents writes the events that there are after that time, and returns how many. A guest may
// have its events written over its subscriptions from their beginning: events are shorter.
func writeEvents(s Sockets, list, events []byte, began clocks, passed time.Duration) (written int) {
	socket, sub := 0, subscription{}
	for ; len(list) > 0; list = list[subscriptionSize:] {
		if !sub.read(list, began) {
			break // an event lies over it
		}
		var errno uint32
		switch {
		case sub.kind == eventClock:
			if sub.after > passed {
				continue
			}
		case sub.isSocket:
			var ready bool
			ready, errno = s.Ready(socket)
			if socket++; !ready {
				continue
			}
		case sub.fd > lastStream:
			errno = badf
		}
		e := events[written*eventSize:][:eventSize]
		clear(e)
		binary.LittleEndian.PutUint64(e, sub.user)
		binary.LittleEndian.PutUint16(e[8:], uint16(errno))
		e[10] = sub.kind
		written++
	}
	return written
}
