package main

import (
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// Save implements guest.Engine. There is nothing to do: what a server has accepted is as
// safe as that server makes it, and with wait_replicas nothing is accepted before replicas
// have it.
//
// Save itself could not wait for them. A server tells of each connection whether replicas
// have what was written over it. If that is lost, one Save can say so, and those that
// come after it, on behalf of other writers, could not.
func (e *engine) Save(int64) error { return nil }

// wrote notes that something was written over a connection, and reports whether replicas
// are to have it before it is acknowledged.
func (e *engine) wrote(conn *resp.Conn) bool {
	if e.waitReplicas == 0 {
		return false
	}
	if conn.Notes&hasWritten == 0 {
		conn.Notes |= hasWritten
		e.writers = append(e.writers, conn)
	}
	return true
}

// replicate waits until replicas have what operations have written, and finishes these.
func (e *engine) replicate(ops []operation, to taker) {
	if len(e.writers) == 0 {
		return
	}
	until := time.Now().Add(e.wait + e.timeout)
	for _, conn := range e.writers {
		conn.SetDeadline(until)
		conn.Begin(3)
		conn.Text("WAIT")
		conn.Int(e.waitReplicas)
		conn.Int(e.wait.Milliseconds())
		_ = conn.Flush()
	}
	for _, conn := range e.writers {
		conn.Notes &^= hasWritten
		err := e.replicated(conn)
		for i := range ops {
			if op := &ops[i]; op.waits && op.conn == conn {
				op.waits, op.err = false, err
				if to != nil {
					to.take(op)
				}
			}
		}
	}
	clear(e.writers)
	e.writers = e.writers[:0]
}

// replicated reads the answer to WAIT.
func (e *engine) replicated(conn *resp.Conn) error {
	r, err := conn.Read()
	switch {
	case err != nil:
		e.nodes.Failed(conn)
		return guest.Fail(guest.ErrUnavailable, "the connection was lost: whether replicas have what was written cannot be told: "+err.Error())
	case r.Kind == resp.Failed:
		return failure(r.Err())
	case r.Kind != resp.Int:
		return errStrange
	case r.Int < e.waitReplicas:
		return guest.Fail(guest.ErrUnavailable, "only "+strconv.FormatInt(r.Int, 10)+" of "+strconv.FormatInt(e.waitReplicas, 10)+
			" replicas have what was written, after the "+strconv.FormatInt(e.wait.Milliseconds(), 10)+" ms of wait_ms")
	}
	return nil
}
