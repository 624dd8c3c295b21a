package main

import (
	"encoding/binary"
	"errors"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// kind is what an operation does on the server, in one command.
type kind uint8

const (
	reading      kind = iota // of at most limit bytes of the record
	writing                  // without a condition
	writingIf                // on condition; an expired value removes the record
	removing                 // without a condition
	touchingOnly             // of the expiry
)

// operation is one of the engine's, from the command that it sends to the answer.
type operation struct {
	kind                 kind
	key, value           []byte
	expires, now, expect int64
	limit                int

	nonce uint64

	conn    *resp.Conn // the last command went there
	number  uint64     // and is this one of the connection's
	refused resp.Error // why the server has turned it away, as it belongs elsewhere
	asking  bool       // it must say that it was sent there
	whole   bool       // the server does not know the script
	unsure  bool       // a command may have been done, whose answer was lost
	tries   int        // that a server has turned away
	losses  int        // of connections

	done   bool
	waits  bool   // for replicas, before it is acknowledged
	record []byte // that was read, valid until the connection's next answer
	err    error
}

// write makes an operation of a write.
func (e *engine) write(w *guest.Write) operation {
	op := operation{kind: writingIf, key: w.Key, value: w.Value, expires: w.Expires, now: w.Now, expect: w.Expect}
	if w.Expect == abi.ExpectAny {
		op.kind = writing
		if w.Expired() {
			op.kind = removing
		}
	}
	op.nonce = e.nonces.next()
	return op
}

// expired reports whether a conditional write or a touch removes the record.
func (op *operation) expired() bool { return guest.Expired(op.expires, op.now) }

// repeatable reports whether the operation may be sent again when it may have been
// done already. Reading changes nothing. A removal or a touch that is done twice is one
// that was done at the later time, while its caller waits. A conditional write knows
// itself again. An unconditional one would overwrite what another host has written in
// between, having read the first.
//
// WAIT waits for what was written over its own connection. A write that is sent again and
// has nothing left to do would be taken for one that replicas have.
func (e *engine) repeatable(op *operation) bool {
	return op.kind == reading || op.kind != writing && e.waitReplicas == 0
}

// append appends the operation's command.
func (e *engine) append(op *operation) {
	conn := op.conn
	if op.asking {
		conn.Do("ASKING")
	}
	op.number = conn.Appended()
	switch op.kind {
	case reading:
		conn.Begin(4)
		conn.Text("GETRANGE")
		conn.Parts(e.prefix, op.key)
		conn.Text("0")
		conn.Int(int64(op.limit)) // one byte more tells that there is more
	case removing:
		conn.Begin(2)
		conn.Text("UNLINK")
		conn.Parts(e.prefix, op.key)
	case writing:
		ttl := timeToLive(op.expires, op.now)
		if ttl == 0 {
			conn.Begin(3)
		} else {
			conn.Begin(5)
		}
		conn.Text("SET")
		conn.Parts(e.prefix, op.key)
		putHeader(&e.header, op.expires, op.nonce)
		conn.Parts(e.header[:], op.value)
		if ttl != 0 {
			conn.Text("PX")
			conn.Int(ttl)
		}
	case writingIf:
		e.script(op, &conditional, 4)
		conn.Bytes(e.number(op.now))
		if op.expect == abi.ExpectAbsent {
			conn.Text("")
		} else {
			conn.Bytes(e.number(op.expect))
		}
		if op.expired() {
			conn.Text("0")
			conn.Text("")
			break
		}
		conn.Int(timeToLive(op.expires, op.now))
		putHeader(&e.header, op.expires, op.nonce)
		conn.Parts(e.header[:], op.value)
	case touchingOnly:
		e.script(op, &touching, 3)
		conn.Bytes(e.number(op.now))
		if op.expired() {
			conn.Text("")
			conn.Text("0")
			break
		}
		conn.Bytes(e.number(op.expires))
		conn.Int(timeToLive(op.expires, op.now))
	}
}

// script begins the command that runs a script with the record's key and so many
// arguments. The first one over a connection brings the text with it, so that a server that
// does not know it costs no other trip.
func (e *engine) script(op *operation, s *script, arguments int) {
	conn := op.conn
	conn.Begin(4 + arguments)
	if op.whole || conn.Notes&s.known == 0 {
		conn.Text("EVAL")
		conn.Text(s.text)
		conn.Notes |= s.known
	} else {
		conn.Text("EVALSHA")
		conn.Text(s.sha)
	}
	conn.Text("1")
	conn.Parts(e.prefix, op.key)
}

// number returns the bytes of a number, for the command that is being appended.
func (e *engine) number(n int64) []byte {
	binary.LittleEndian.PutUint64(e.header[:], uint64(n))
	return e.header[:8]
}

// answered takes the server's answer to the operation's command, which is none of
// those that send it elsewhere.
func (op *operation) answered(r *resp.Reply) {
	op.done = true
	switch {
	case r.Kind == resp.Failed:
		op.err = op.failure(r.Err())
	case op.kind == reading && r.Kind == resp.Bulk:
		op.record = r.Text
	case op.kind == writing && r.OK():
	case op.kind == removing && r.Kind == resp.Int:
	case op.kind == touchingOnly && r.Kind == resp.Int:
		if r.Int == 0 && !(op.unsure && op.expired()) {
			op.err = guest.ErrNotFound
		}
	case op.kind == writingIf && r.Kind == resp.Int:
		op.err = op.verdict(r.Int)
	default:
		op.err = errStrange
	}
}

// failure makes an answer of an error. A write that is refused when it is sent again may
// have been done before. Only UNAVAILABLE says so.
func (op *operation) failure(err error) error {
	err = failure(err)
	if op.unsure && op.kind != reading && err != nil && !errors.Is(err, guest.ErrUnavailable) {
		return guest.Fail(guest.ErrUnavailable, "the connection was lost during the write, which may have been done; sent again, it failed: "+err.Error())
	}
	return err
}

// verdict is what the script says of a conditional write.
func (op *operation) verdict(said int64) error {
	switch {
	case said == 1:
		return nil
	case !op.unsure:
		return guest.ErrConflict
	case said < 0 && op.expired():
		return nil // the record was to go, and has gone
	}
	// Either it was done, and somebody has written since, or it was not, since
	// somebody had written before. Who takes this for a conflict does it twice.
	return errLost
}

var (
	errStrange = guest.Fail(guest.ErrInternal, "the server answered something that the command does not answer")
	errLost    = guest.Fail(guest.ErrUnavailable, "the connection was lost during the write, and the record was written by others since: "+
		"whether it was done cannot be told")
)
