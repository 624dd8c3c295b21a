package main

import (
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

const (
	mostTries  = 8 // of an operation that servers turn away: one does not know the script, or has not got the key
	mostLosses = 2 // of connections, after which it is sent again: one that was dead before, and one more
)

// taker is told of each operation when it is done. What it has read is valid during
// the call only.
type taker interface{ take(op *operation) }

// run does operations, in their order where they concern the same key: it sends all
// commands, then reads all answers, and does again what has to be. Each operation is done
// when run returns.
func (e *engine) run(ops []operation, to taker) {
	e.begin(e.timeout)
	for e.send(ops, to) {
		e.receive(ops, to)
		e.nodes.Round()
	}
	e.replicate(ops, to)
}

// begin begins a call, which may wait so long.
func (e *engine) begin(timeout time.Duration) {
	now := time.Now()
	e.until = now.Add(timeout)
	e.nodes.Begin(now, e.until)
}

// finish ends an operation with an error.
func (e *engine) finish(op *operation, err error, to taker) {
	op.done, op.err = true, op.failure(err)
	if to != nil {
		to.take(op)
	}
}

// send sends the commands of all operations that are not done, and reports whether
// there were any. First it finds the servers, since that may take commands of its own, which
// must not come between.
func (e *engine) send(ops []operation, to taker) bool {
	for i := range ops {
		if op := &ops[i]; !op.done {
			if err := e.find(op); err != nil {
				e.finish(op, err, to)
			}
		}
	}
	for i := range ops {
		if op := &ops[i]; !op.done {
			e.append(op)
		}
	}
	sent := false
	for i := range ops {
		if op := &ops[i]; !op.done {
			_ = op.conn.Flush() // a connection that fails says so when its answers are read
			sent = true
		}
	}
	return sent
}

// find finds the connection for an operation, which a server may have turned away.
func (e *engine) find(op *operation) error {
	refused := op.refused
	op.refused, op.asking = "", false
	if refused != "" {
		conn, asking, err := e.nodes.Redirect(refused, op.key)
		if err != nil {
			return err
		}
		if conn == nil {
			return refused
		}
		op.conn, op.asking = conn, asking
		return nil
	}
	conn, err := e.nodes.For(op.key)
	op.conn = conn
	return err
}

// receive reads the answers to what send has sent.
func (e *engine) receive(ops []operation, to taker) {
	for i := range ops {
		op := &ops[i]
		if op.done {
			continue
		}
		r, err := op.answer()
		switch {
		case err != nil:
			e.lost(op, err, to)
		case r.Kind == resp.Failed && e.again(op, &r):
		default:
			op.answered(&r)
			op.waits = op.err == nil && op.kind != reading && e.wrote(op.conn)
			if to != nil && !op.waits {
				to.take(op)
			}
		}
	}
}

// answer reads the answer to the operation's command.
func (op *operation) answer() (resp.Reply, error) {
	if op.asking {
		if _, err := op.conn.Read(); err != nil {
			return resp.Reply{}, err
		}
	}
	return op.conn.Read()
}

// lost is called for an operation whose connection has failed. It is sent again if
// that is safe and there is time.
func (e *engine) lost(op *operation, err error, to taker) {
	e.nodes.Failed(op.conn)
	if op.conn.Sent() > op.number {
		op.unsure = true
	}
	op.losses++
	switch {
	case op.losses > mostLosses, !time.Now().Before(e.until):
		e.finish(op, err, to)
	case op.unsure && !e.repeatable(op):
		e.finish(op, guest.Fail(guest.ErrUnavailable, "the connection was lost during the write, which may have been done: "+err.Error()), to)
	}
}

// again reports whether the server's error only means that the operation has to be
// sent in another way, or elsewhere.
func (e *engine) again(op *operation, r *resp.Reply) bool {
	if op.tries++; op.tries > mostTries {
		return false
	}
	refused := resp.Error(r.Text)
	switch code := refused.Code(); {
	case code == "NOSCRIPT":
		op.whole = true
	case redirects(code) && time.Now().Before(e.until):
		op.refused = refused
	default:
		return false
	}
	return true
}

// redirects reports whether an error of a server may mean that another one has the key.
func redirects(code string) bool {
	switch code {
	case "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "LOADING":
		return true
	}
	return false
}
