package guest

import (
	"encoding/binary"
	"errors"

	"github.com/waddle-sessions/waddle/abi"
)

// Batcher is an engine that answers many operations at once cheaper than one after the
// other: it sends all commands to a server and then reads all answers, or makes all
// writes durable together. While a call runs, the host collects what waits and hands it
// over in one call. Without a Batcher it makes single calls.
type Batcher interface {
	// Batch answers every operation of the batch by [Batch.Answer], in their order, as
	// if each had been called alone in that order. It must not keep the batch.
	//
	// An error of one operation belongs into its answer. If Batch itself returns an
	// error, none of the operations may have been done, unless it is ErrUnavailable,
	// which leaves it open.
	Batch(batch *Batch) error
}

// Kinds of operations in a batch.
const (
	BatchGet    = abi.BatchGet
	BatchSet    = abi.BatchSet
	BatchDelete = abi.BatchDelete
	BatchTouch  = abi.BatchTouch // only for a Toucher
)

// BatchOp is one operation of a batch. What the host sends beyond [Info]'s limits is not
// among them.
type BatchOp struct {
	// Kind says which operation it is, and so which fields of Write count: Key and Now
	// for all, Value and Expect for BatchSet, Expires for BatchSet and BatchTouch.
	Kind uint32
	Write
}

// Batch is a list of 1 to 256 operations and of the answers to them.
type Batch struct {
	ops      []BatchOp
	answered int

	refused []refused // operations that the engine does not see
	skipped int       // how many of them have their answer

	results []byte
	room    int // the most that results may have
}

// refused is an operation that is answered without the engine.
type refused struct {
	before int // the number of operations for the engine that come earlier
	err    error
}

// Len returns the number of operations.
func (b *Batch) Len() int { return len(b.ops) }

// Op returns an operation. It is valid until Batch returns.
func (b *Batch) Op(n int) *BatchOp { return &b.ops[n] }

// Answered returns how many operations have their answer: the number of the one that the
// next Answer is for.
func (b *Batch) Answered() int { return b.answered }

// Answer answers the next operation as its own method would have: with the value that a
// get has found, or with an error. The value is copied. [Scratch] gives the room
// to which it would be copied, so that a value built there is not.
//
// If the value has no room, the host is told to make that call again by itself. An engine
// that cannot do one of the operations in a batch answers ErrUnsupported to the same
// effect, if it has changed nothing.
func (b *Batch) Answer(value []byte, err error) {
	if b.answered == len(b.ops) {
		panic("guest: Batch.Answer was called more often than there are operations")
	}
	b.refuse()
	kind := b.ops[b.answered].Kind
	b.answered++
	switch {
	case err == nil && kind == BatchGet:
		b.append(0, value)
	case err == nil, kind == BatchDelete && errors.Is(err, ErrNotFound):
		b.append(0, nil)
	default:
		b.fail(err)
	}
}

// refuse writes the answers of operations that come before the next one for the engine.
func (b *Batch) refuse() {
	for ; b.skipped < len(b.refused) && b.refused[b.skipped].before <= b.answered; b.skipped++ {
		b.fail(b.refused[b.skipped].err)
	}
}

// Sizes of the list of results.
const (
	resultHeader = 8
	minResults   = 64 << 10
	maxResults   = 4 << 20

	// resultsShare is the part of the memory that results may take.
	resultsShare = 16
)

// open takes what every batch needs, while there is memory.
func (b *Batch) open(memory int64) {
	b.room = int(min(max(memory/resultsShare, minResults), maxResults))
	b.ops = make([]BatchOp, 0, abi.MaxBatch)
	b.refused = make([]refused, 0, abi.MaxBatch)
	b.results = make([]byte, 0, minResults)
}

// left is how many bytes the next answer may have, behind its header, so that all
// others have room for theirs.
func (b *Batch) left() int {
	others := len(b.ops) - b.answered + len(b.refused) - b.skipped
	return b.room - len(b.results) - resultHeader*(1+others)
}

func (b *Batch) append(code abi.Code, body []byte) {
	if len(body) > b.left() {
		if body = nil; code == 0 {
			code = abi.Unsupported
		}
	}
	b.grow(len(body))
	b.results = abi.AppendBatchResult(b.results, code, body)
}

func (b *Batch) fail(err error) {
	if err == nil { // of an operation that needs none
		b.append(0, nil)
		return
	}
	code, message := codeOf(err)
	message = message[:min(len(message), abi.MaxMessage)]
	if len(message) > b.left() {
		message = ""
	}
	b.grow(len(message))
	b.results = abi.AppendBatchResult(b.results, code, nil)
	binary.LittleEndian.PutUint32(b.results[len(b.results)-4:], uint32(len(message)))
	b.results = append(b.results, message...) // as the body, of which there is no []byte
}

// grow makes room for a result. It grows by large steps, for the reason that the
// exchange buffer does.
func (b *Batch) grow(n int) {
	need := len(b.results) + resultHeader + n
	if need <= cap(b.results) {
		return
	}
	larger := make([]byte, len(b.results), max(min(cap(b.results)*growExchange, b.room), need))
	copy(larger, b.results)
	b.results = larger
}

// scratch returns the place of the next answer's value.
func (b *Batch) scratch(n int) []byte {
	b.refuse()
	if b.answered == len(b.ops) || n > b.left()+resultHeader {
		return make([]byte, n)
	}
	b.grow(n)
	at := len(b.results) + resultHeader
	return b.results[at : at+n : at+n]
}

// beginBatch takes a list of operations apart. What is beyond the limits of the engine is put
// aside with its answer. It returns false if the list is malformed.
func (i *instance) beginBatch(list []byte) bool {
	b := &i.batch
	b.ops, b.refused = b.ops[:0], b.refused[:0]
	var op abi.BatchOp
	for rest, ok := abi.NextBatchOp(list, &op); ; rest, ok = abi.NextBatchOp(rest, &op) {
		if !ok {
			n := len(b.ops) + len(b.refused)
			return len(rest) == 0 && n > 0
		}
		if len(b.ops)+len(b.refused) == abi.MaxBatch || len(op.Value) > 0 && op.Kind != abi.BatchSet {
			return false
		}
		if err, answered := i.answerAlone(&op); answered {
			b.refused = append(b.refused, refused{len(b.ops), err})
			continue
		}
		b.ops = append(b.ops, BatchOp{op.Kind, Write{Key: op.Key, Value: op.Value, Expires: op.Expires, Now: op.Now, Expect: op.Expect}})
	}
}

// answerAlone answers an operation that does not reach the engine, as the single call
// would be answered.
func (i *instance) answerAlone(op *abi.BatchOp) (err error, answered bool) {
	long := len(op.Key) > i.info.MaxKey
	if len(op.Key) == 0 {
		return errEmptyKey, true
	}
	switch op.Kind {
	case abi.BatchGet:
		return ErrNotFound, long
	case abi.BatchSet:
		err = i.checkSize(op.Key, op.Value)
		if err == nil && !i.info.CAS && Expired(op.Expires, op.Now) {
			op.Kind, op.Value = abi.BatchDelete, nil
		}
		return err, err != nil
	case abi.BatchDelete:
		return nil, long
	case abi.BatchTouch:
		if i.toucher == nil {
			return ErrUnsupported, true
		}
		return ErrNotFound, long
	}
	return ErrUnsupported, true
}

func (i *instance) runBatch(ptr, length uint32) ([]byte, int64) {
	if i.batcher == nil {
		return nil, int64(abi.Unsupported)
	}
	list, ok := i.argument(ptr, length)
	if !ok || !i.opened {
		return nil, i.fail(i.refusal(ok))
	}
	b := &i.batch
	if !i.beginBatch(list) {
		return nil, i.fail(errBatch)
	}
	b.answered, b.skipped, b.results = 0, 0, b.results[:0]
	i.batching = true
	var err error
	if len(b.ops) > 0 {
		err = i.batcher.Batch(b)
	}
	for err == nil && b.answered < len(b.ops) {
		b.Answer(nil, errUnanswered)
	}
	b.refuse()
	i.batching = false
	clear(b.ops) // which lie in the exchange buffer
	if err != nil {
		return nil, i.fail(err)
	}
	i.result = b.results
	return b.results, 0
}

var (
	errBatch      = Fail(ErrInvalid, "the list is not one of 1 to 256 whole operations, or one has a value and is no set")
	errUnanswered = Fail(ErrInternal, "the engine gave no answer to this operation of a batch")
)
