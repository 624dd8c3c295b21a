package table

import (
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// opKind is what an operation does, which decides its statement.
type opKind int

const (
	opGet opKind = iota
	opPut
	opCreate
	opReplace
	opRemove
	opRemoveIf // if the revision is the expected one
	opLive     // a creation that has expired: it stores nothing, and needs an absent record
	opTouch
	opTouchAway // a touch whose expiry has passed
)

// op is an operation on one record, and what has become of it.
type op struct {
	kind                 opKind
	key, value           []byte
	expires, now, expect int64
	nonce                int64 // of a conditional write, by which it knows itself

	done  bool
	err   error  // once it is done
	found []byte // what a get has found

	// unsure says that it was sent, and that its connection was lost before anybody
	// said whether it was done.
	unsure bool

	// crowded says that there was no room for what was found.
	crowded bool

	// alone says that it must not be in a transaction with others.
	alone bool
}

// setOp returns the operation that stores or removes a record as guest.Engine.Set does.
func (t *Table) setOp(w *guest.Write) op {
	o := op{kind: opPut, key: w.Key, value: w.Value, expires: w.Expires, now: w.Now, expect: w.Expect}
	switch gone := w.Expired(); {
	case w.Expect == abi.ExpectAny && gone:
		o.kind = opRemove
	case w.Expect == abi.ExpectAny:
	case w.Expect == abi.ExpectAbsent && gone:
		o.kind = opLive
	case w.Expect == abi.ExpectAbsent:
		o.kind = opCreate
	case gone:
		o.kind = opRemoveIf
	default:
		o.kind = opReplace
	}
	if o.kind == opCreate || o.kind == opReplace {
		o.nonce = int64(t.options.Random())
	}
	return o
}

func touchOp(key []byte, expires, now int64) op {
	o := op{kind: opTouch, key: key, expires: expires, now: now}
	if guest.Expired(expires, now) {
		o.kind = opTouchAway
	}
	return o
}

// reads reports whether the operation changes nothing.
func (o *op) reads() bool { return o.kind == opGet || o.kind == opLive }

// queue queues the operation's statement.
func (o *op) queue(c *client.Conn, s *statements) {
	bytes, number := client.Bytes, client.Number
	key, now := bytes(o.key), number(o.now)
	switch o.kind {
	case opGet:
		c.Queue(&s.get, key, now)
	case opLive:
		c.Queue(&s.live, key, now)
	case opRemove:
		c.Queue(&s.remove, key)
	case opRemoveIf:
		c.Queue(&s.removeIf, key, now, number(o.expect))
	case opTouch:
		c.Queue(&s.touch, key, now, number(o.expires), number(sweepAt(o.expires, o.now)))
	case opTouchAway:
		c.Queue(&s.touchAway, key, now)
	default:
		rev, nonce := number(int64(abi.Revision(o.value))), number(o.nonce)
		expires, sweep, value := number(o.expires), number(sweepAt(o.expires, o.now)), bytes(o.value)
		switch o.kind {
		case opCreate:
			c.Queue(&s.create, key, rev, nonce, expires, sweep, value, now)
		case opReplace:
			c.Queue(&s.replace, key, rev, nonce, expires, sweep, value, now, number(o.expect))
		default:
			c.Queue(&s.put, key, rev, nonce, expires, sweep, value)
		}
	}
}

// finish says what the operation answers, given how many rows its statement has found or
// changed.
func (o *op) finish(rows int64) {
	var err error
	switch o.kind {
	case opGet, opTouch, opTouchAway:
		switch {
		case rows == 0:
			err = guest.ErrNotFound
		case o.crowded:
			err = guest.ErrUnsupported // the host makes a call for it alone
		}
	case opLive:
		if rows > 0 {
			err = guest.ErrConflict
		}
	case opCreate, opReplace, opRemoveIf:
		if rows == 0 {
			err = guest.ErrConflict
		}
	}
	if err != nil && o.unsure && o.kind != opTouch {
		// It may be refused because it was done before, and undone or overwritten since.
		err = errUnsure
	}
	o.end(err)
}

var errUnsure = guest.Fail(guest.ErrUnavailable, "the connection was lost during the write, which may have been made")

// end ends the operation with an answer.
func (o *op) end(err error) { o.done, o.err = true, err }

// lose says that the operation was sent over a connection that was lost.
func (o *op) lose(err error) {
	if o.reads() {
		return
	}
	o.unsure = true
	if o.kind == opPut {
		// Sent once more, it could undo what somebody else has made of it. The others recognize
		// what they have done, or refuse, or are the same twice.
		o.end(guest.Fail(guest.ErrUnavailable, err.Error()+": the write may have been made"))
	}
}
