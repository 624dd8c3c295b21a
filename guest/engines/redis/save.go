package main

import (
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// wrote notes that something was written over a connection.
func (e *engine) wrote(conn *resp.Conn) {
	if e.waitReplicas > 0 && conn.Notes&hasWritten == 0 {
		conn.Notes |= hasWritten
		e.writers = append(e.writers, conn)
	}
}

// Save implements guest.Engine. What a server has accepted is as safe as that server makes
// it. With wait_replicas, Save waits until as many replicas have it, too. A server knows
// only of each connection what was written over it: so it is asked over those that have
// written, and if one of them is lost, nobody can know.
func (e *engine) Save(int64) error {
	if len(e.writers) == 0 {
		return nil
	}
	e.begin(e.timeout + e.wait)
	for _, conn := range e.writers {
		conn.SetDeadline(e.until)
		conn.Begin(3)
		conn.Text("WAIT")
		conn.Int(e.waitReplicas)
		conn.Int(e.wait.Milliseconds())
		_ = conn.Flush()
	}
	kept := e.writers[:0]
	var failed error
	for _, conn := range e.writers {
		r, err := conn.Read()
		switch {
		case err != nil:
			e.nodes.Failed(conn)
			failed = guest.Fail(guest.ErrUnavailable, "a connection was lost over which something was written since the last save: "+
				"whether replicas have it cannot be told: "+err.Error())
			continue
		case r.Kind == resp.Failed:
			failed = failure(r.Err())
		case r.Kind != resp.Int:
			failed = errStrange
		case r.Int < e.waitReplicas:
			failed = guest.Fail(guest.ErrUnavailable, "only "+strconv.FormatInt(r.Int, 10)+" of "+strconv.FormatInt(e.waitReplicas, 10)+
				" replicas have what was written, after the "+strconv.FormatInt(e.wait.Milliseconds(), 10)+" ms of wait_ms")
		default:
			conn.Notes &^= hasWritten
			continue
		}
		kept = append(kept, conn)
	}
	clear(e.writers[len(kept):])
	e.writers = kept
	return failed
}
