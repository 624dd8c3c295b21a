package protocol

import (
	"context"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/store"
)

// Batcher is an Instance that takes several operations in one call.
type Batcher interface {
	// Batch takes a list of so many operations, in the form of [abi.AppendBatchOp], and
	// returns that of their results, in the form of [abi.AppendBatchResult]. An error is
	// that of the call, as in [Instance].
	Batch(list []byte, operations int) (results []byte, err error)
}

// Bounds of one call for several operations.
const (
	// mostBatchBytes bounds the list, so that a guest needs no large buffer for it, and an
	// operation with a small value does not wait for large ones.
	mostBatchBytes = 256 << 10

	// firstBatch is how many operations a guest takes at first whose calls are bounded. The
	// bound of a call for several is [BatchTimes] of that for one.
	firstBatch = 4
)

// BatchTimes is how many times as long as any other call one for several operations may take.
const BatchTimes = firstBatch

// batchSize is how much an instance takes in one call.
type batchSize struct {
	operations int
	bytes      int
}

// batchRoom is what is left of it.
type batchRoom batchSize

func (b *batchSize) room() batchRoom { return batchRoom(*b) }

func (r *batchRoom) has(op *operation) bool {
	return r.operations > 0 && abi.BatchOpSize(len(op.Key), len(op.Value)) <= r.bytes
}

func (r *batchRoom) add(op *operation) {
	r.operations--
	r.bytes -= abi.BatchOpSize(len(op.Key), len(op.Value))
}

// newBatchSize returns how much an instance takes at first.
func (c *Config) newBatchSize() batchSize {
	b := batchSize{operations: abi.MaxBatch, bytes: mostBatchBytes}
	if c.BatchTime > 0 {
		b.operations = firstBatch
	}
	return b
}

// adapt changes how much the next call takes by how long the last took, which had so many
// operations. most is 0 for no bound.
func (b *batchSize) adapt(operations int, took, most time.Duration) {
	switch {
	case most == 0:
	case took > most:
		b.operations = max(1, b.operations/2)
	case took < most/4 && operations == b.operations:
		b.operations = min(abi.MaxBatch, 2*b.operations)
	}
}

// batchable reports whether an operation can be made with others. What takes the host several
// calls cannot: a comparison for a guest without compare-and-set is one step with the write
// that follows.
func (r *runner) batchable(op *operation) bool {
	switch op.op {
	case opSet:
		return r.cas || op.Expect == store.Any
	case opTouch:
		return !r.lacks.touch
	}
	return true
}

var batchKinds = [...]uint32{opGet: abi.BatchGet, opSet: abi.BatchSet, opTouch: abi.BatchTouch, opDelete: abi.BatchDelete}

// appendOp appends a request to a list. What does not belong to its kind is 0.
func (r *request) appendOp(list []byte) []byte {
	op := abi.BatchOp{Kind: batchKinds[r.op], Key: r.Key, Now: int64(r.Now)}
	switch r.op {
	case opSet:
		op.Value, op.Expires, op.Expect = r.Value, int64(r.Expires), r.Expect
	case opTouch:
		op.Expires = int64(r.Expires)
	}
	return abi.AppendBatchOp(list, &op)
}

// requestOf is a request as it is in a list.
func requestOf(kind opKind, op *abi.BatchOp) request {
	return request{op: kind, Write: store.Write{Key: op.Key, Value: op.Value, Expires: store.Millis(op.Expires),
		Now: store.Millis(op.Now), Expect: op.Expect}}
}

// serveAll makes several operations in one call. It calls copied when their keys and values are
// not needed any more.
func (s *shard) serveAll(inst *runner, b *batch, copied func()) {
	b.list = b.list[:0]
	b.sent = b.sent[:0]
	for _, op := range b.taken {
		if op.err = s.permits(inst, op); op.err == nil {
			b.list = op.appendOp(b.list)
			b.sent = append(b.sent, op)
		}
	}
	copied()
	if len(b.sent) == 0 {
		return
	}
	within, done := b.within()
	defer done()
	inst.waits(within)
	if len(b.sent) < 2 {
		s.serveEach(inst, b, nil)
		return
	}
	began := time.Now()
	results, err := inst.callBatch(b)
	used := s.usedFuel(inst)
	inst.batch.adapt(len(b.sent), time.Since(began), s.store.config.BatchTime)
	if err == nil {
		err = b.check(results)
	}
	code, answered := CodeOf(err)
	switch {
	case err == nil:
		s.distribute(inst, b, results, used)
	case !answered:
		s.failedAll(inst, b, err, used)
	case code == abi.Unavailable || isRefused(err): // or they may have been done
		for i, op := range b.sent {
			op.err = s.count(op.op, inst, share(used, i, len(b.sent)), err)
		}
	default: // none was done
		s.lessBatch(inst, b, err)
		s.ops[b.sent[0].op].Fuel += used
		s.serveEach(inst, b, nil)
	}
}

func (r *runner) callBatch(b *batch) ([]byte, error) {
	if r.batcher == nil {
		return nil, Absent
	}
	return r.batcher.Batch(b.list, len(b.sent))
}

// lessBatch learns from a call of which nothing was done.
func (s *shard) lessBatch(inst *runner, b *batch, err error) {
	if code, _ := CodeOf(err); code == abi.Unsupported {
		s.store.lacksBatch.Store(true)
		s.store.batches.Store(false)
	}
	if a, ok := err.(*Answer); ok && a.NoBuffer {
		inst.batch.bytes = len(b.list) / 2
	}
}

func isRefused(err error) bool {
	a, ok := err.(*Answer)
	return ok && a.Refused != nil
}

// check reports whether a list of results is well formed.
func (b *batch) check(results []byte) error {
	for i, op := range b.sent {
		code, body, rest, ok := abi.NextBatchResult(results)
		switch {
		case !ok && len(rest) == 0:
			return Broken("%s: %d results: must be %d, one for each operation", abi.ExportBatch, i, len(b.sent))
		case !ok:
			return Broken("%s: the list ends in %d bytes that are not a result", abi.ExportBatch, len(rest))
		case code > 0:
			return Broken("%s: result %d has the code %d: must not be above 0", abi.ExportBatch, i, code)
		case code == 0 && op.op != opGet && len(body) > 0:
			return Broken("%s: result %d has %d bytes: must be empty after a %v that succeeded", abi.ExportBatch, i, len(body), op.op)
		case code == 0 && len(body) > abi.MaxValue:
			return Broken("%s: result %d is a value of %d bytes: must be at most %d", abi.ExportBatch, i, len(body), abi.MaxValue)
		}
		results = rest
	}
	if len(results) > 0 {
		return Broken("%s: %d bytes follow the last of %d results", abi.ExportBatch, len(results), len(b.sent))
	}
	return nil
}

// distribute gives each operation its result. Those that the guest left to the host are made
// afterwards.
func (s *shard) distribute(inst *runner, b *batch, results []byte, used uint64) {
	left := false
	for i, op := range b.sent {
		code, body, rest, _ := abi.NextBatchResult(results)
		results = rest
		fuel := share(used, i, len(b.sent))
		if op.left = code == abi.Unsupported; op.left {
			s.ops[op.op].Fuel += fuel
			left = true
			continue
		}
		s.conclude(op, body, s.count(op.op, inst, fuel, resultOf(op.op, code, body)))
	}
	if left {
		s.serveEach(inst, b, func(op *operation) bool { return op.left })
	}
}

// resultOf returns the error of a result.
func resultOf(op opKind, code abi.Code, body []byte) error {
	switch {
	case code == 0, code == abi.NotFound && op == opDelete:
		return nil
	case len(body) == 0 || code == abi.NotFound:
		return AnswerOf(code, "")
	}
	return AnswerOf(code, printable.Clean(string(printable.Cut(body, abi.MaxMessage))))
}

// serveEach makes operations one by one, from the list. If the instance fails, the others get
// what callers get then.
func (s *shard) serveEach(inst *runner, b *batch, which func(*operation) bool) {
	list := b.list
	for _, op := range b.sent {
		var o abi.BatchOp
		list, _ = abi.NextBatchOp(list, &o)
		if which != nil && !which(op) {
			continue
		}
		if s.inst == nil {
			if inst, op.err = s.revive(); op.err != nil {
				continue
			}
		}
		r := requestOf(op.op, &o)
		value, err := s.make(inst, &r)
		s.conclude(op, value, s.done(op.op, inst, err))
	}
}

// failedAll ends an instance that failed in a call for several operations.
func (s *shard) failedAll(inst *runner, b *batch, err error, used uint64) {
	if left, ok := err.(*Left); ok {
		for _, op := range b.sent {
			if op.err = op.ctx.Err(); op.err == nil {
				op.err = left.Err
			}
		}
		return
	}
	f := s.fails(inst, "batch", err)
	for i, op := range b.sent {
		o := &s.ops[op.op]
		o.Calls++
		o.Errors++
		o.Fuel += share(used, i, len(b.sent))
		own := *f
		own.Op = op.op.String()
		op.err = s.store.config.Fail(&own)
	}
}

// share is the part of fuel that the i-th of n operations used.
func share(fuel uint64, i, n int) uint64 {
	part := fuel / uint64(n)
	if i == 0 {
		part += fuel % uint64(n)
	}
	return part
}

// batch is a call for several operations in the making.
type batch struct {
	taken []*operation
	sent  []*operation // of them, those in the list
	list  []byte
}

var batchPool = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) release() {
	clear(b.taken)
	clear(b.sent)
	b.taken, b.sent = b.taken[:0], b.sent[:0]
	batchPool.Put(b)
}

// within returns a context that lasts as long as the one that lasts longest.
func (b *batch) within() (context.Context, context.CancelFunc) {
	var latest time.Time
	for _, op := range b.sent {
		at, ok := op.ctx.Deadline()
		if !ok {
			return context.Background(), func() {}
		}
		if at.After(latest) {
			latest = at
		}
	}
	return context.WithDeadline(context.Background(), latest)
}
