package main

import (
	"bytes"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
)

// mostInBatch is the longest value that a read within a batch fetches. For a longer one
// the host asks alone.
const mostInBatch = 64 << 10

// Batch implements guest.Batcher: all commands are sent, then all answers are read. If a
// command has to be sent again, one on the same key that came after it may be done
// before: their callers did not wait for each other.
func (e *engine) Batch(batch *guest.Batch) error {
	e.many = e.many[:0]
	for n := range batch.Len() {
		e.many = append(e.many, e.operation(batch.Op(n)))
	}
	e.answers = answers{batch: batch, ops: e.many}
	e.run(e.many, &e.answers)
	e.answers = answers{}
	clear(e.many) // they hold on to what was read
	return nil
}

func (e *engine) operation(op *guest.BatchOp) operation {
	switch op.Kind {
	case abi.BatchSet:
		return e.write(&op.Write)
	case abi.BatchDelete:
		return operation{kind: removing, key: op.Key, now: op.Now}
	case abi.BatchTouch:
		return operation{kind: touchingOnly, key: op.Key, expires: op.Expires, now: op.Now}
	}
	return operation{kind: reading, key: op.Key, now: op.Now, limit: headerSize + mostInBatch}
}

// answers gives a batch its answers in order, although operations that had to be sent
// again are done later than others.
type answers struct {
	batch *guest.Batch
	ops   []operation
}

// take implements taker.
func (a *answers) take(op *operation) {
	if op != &a.ops[a.batch.Answered()] {
		op.record = bytes.Clone(op.record)
		return
	}
	for a.batch.Answered() < len(a.ops) {
		next := &a.ops[a.batch.Answered()]
		if !next.done || next.waits {
			return
		}
		a.answer(next)
	}
}

func (a *answers) answer(op *operation) {
	switch {
	case op.err != nil || op.kind != reading:
		a.batch.Answer(nil, op.err)
	case len(op.record) > op.limit:
		a.batch.Answer(nil, guest.ErrUnsupported)
	default:
		value, _, err := open(op.record, op.now)
		a.batch.Answer(value, err)
	}
}
