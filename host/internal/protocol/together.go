package protocol

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Operations on records that wait for the same shard, or for any instance, wait together if
// the guest has session_batch. The first of them waits for the instance and makes one call
// for all. An operation that finds an instance at once knows nothing of it.

// request is an operation on one record.
type request struct {
	op   opKind
	most int // of the value that get returns
	store.Write
}

// operation is a request that waits with others. Whoever makes the call has it from when
// it is taken until outcome is there.
type operation struct {
	request
	ctx     context.Context
	arrived time.Time
	late    *time.Timer // nil if it may wait for as long as its context lasts

	// word is true when the outcome is there, and false when the operation is the first
	// of those that wait. It has room for one.
	word chan bool

	// The party's lock guards these. at is the shard whose holder has taken it, or nil.
	at         *shard
	next, prev *operation
	waits      bool

	value    []byte // that get returns
	mark     mark   // of a write
	left     bool   // to the host, by a guest that was to make it with others
	err      error
	panicked any
}

var operationPool = sync.Pool{New: func() any { return &operation{word: make(chan bool, 1)} }}

// party is a line of operations that wait together, the earliest first. The first waits for
// an instance.
type party struct {
	n           atomic.Int32
	mu          sync.Mutex
	first, last *operation
}

// errTogether says that an operation has to wait, and should do so with others.
var errTogether = errors.New("protocol: the operation waits with others")

// gathers reports whether an operation that waits does so with others.
func (st *Store) gathers(op opKind) bool { return st.batches.Load() && op <= opDelete }

// join adds an operation, unless as many wait as may, and reports whether it is the first.
func (p *party) join(op *operation, q *queue) (first, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := q.n.Add(1); q.most >= 0 && n > int64(q.most) {
		q.n.Add(-1)
		q.full.Add(1)
		return false, true
	}
	p.n.Add(1)
	op.waits, op.prev = true, p.last
	if p.last == nil {
		p.first, p.last = op, op
		return true, false
	}
	p.last.next, p.last = op, op
	return false, false
}

// leave takes an operation out that waits no longer. If somebody has taken it, leave
// returns the shard whose holder it is.
func (p *party) leave(op *operation) (taken *shard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !op.waits {
		return op.at
	}
	leads := p.first == op
	p.remove(op)
	if leads {
		p.follow()
	}
	return nil
}

// remove takes an operation out. The lock is held.
func (p *party) remove(op *operation) {
	if op.prev == nil {
		p.first = op.next
	} else {
		op.prev.next = op.next
	}
	if op.next == nil {
		p.last = op.prev
	} else {
		op.next.prev = op.prev
	}
	op.next, op.prev, op.waits = nil, nil, false
	p.n.Add(-1)
}

// follow tells the operation that is now the first. The lock is held.
func (p *party) follow() {
	if p.first != nil {
		p.first.word <- false
	}
}

// take takes those operations, from the first on, that make one call, for the holder of a
// shard.
func (p *party) take(b *batch, s *shard, inst *runner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := inst.batch.room()
	for op := p.first; op != nil; op = p.first {
		if len(b.taken) > 0 && (!room.has(op) || !inst.batchable(b.taken[0]) || !inst.batchable(op)) {
			break
		}
		room.add(op)
		p.remove(op)
		op.at = s
		b.taken = append(b.taken, op)
	}
	p.follow()
}

// party returns the line of a shard, or of any instance for nil.
func (st *Store) party(s *shard) *party {
	if s == nil {
		return &st.anybody
	}
	return &s.party
}

// together makes an operation wait with others for a shard, or for any instance if s is nil,
// until it is done. It returns the shard that did it.
func (st *Store) together(ctx context.Context, s *shard, r request) (value []byte, at *shard, m mark, err error) {
	op := operationPool.Get().(*operation)
	op.request, op.ctx, op.arrived = r, ctx, time.Now()
	if patience := st.queue.patience; patience > 0 {
		if op.late == nil {
			op.late = time.NewTimer(patience)
		} else {
			op.late.Reset(patience)
		}
	}
	ended, err := st.outcome(ctx, s, op)
	if !ended {
		return nil, nil, mark{}, err
	}
	value, at, m, err = op.value, op.at, op.mark, op.err
	panicked := op.panicked
	op.release()
	if panicked != nil {
		panic(panicked)
	}
	return value, at, m, err
}

// release gives back an operation that nobody else has.
func (op *operation) release() {
	if op.late != nil {
		op.late.Stop()
	}
	*op = operation{word: op.word, late: op.late}
	operationPool.Put(op)
}

// outcome waits for the outcome of an operation. If ended is false, its caller has left, and
// others may still have it.
func (st *Store) outcome(ctx context.Context, s *shard, op *operation) (ended bool, err error) {
	p, q := st.party(s), &st.queue
	var late <-chan time.Time
	if op.late != nil {
		late = op.late.C
	}
	done := ctx.Done()
	first, full := p.join(op, q)
	if full {
		kind := op.op
		op.release()
		return false, st.refused(kind, errFull)
	}
	for !first {
		select {
		case first = <-op.word:
			if first {
				return true, nil
			}
			first = true
		case <-late:
			late = nil
			if p.leave(op) == nil {
				q.n.Add(-1)
				q.late.Add(1)
				return false, st.refused(op.op, errLate)
			}
		case <-done:
			taken := p.leave(op)
			if taken == nil {
				q.n.Add(-1)
				return false, ctx.Err()
			}
			select {
			case <-op.word:
				return true, nil
			default:
			}
			// Its key and value belong to its caller again.
			taken.copying.Lock()
			defer taken.copying.Unlock()
			return false, ctx.Err()
		}
	}
	st.lead(ctx, s, op)
	return true, nil
}

// lead waits for an instance, and makes the operation, which is the first of those that wait,
// in one call with others.
func (st *Store) lead(ctx context.Context, s *shard, op *operation) {
	p, q := st.party(s), &st.queue
	waits := true
	defer func() {
		if waits {
			p.leave(op)
			q.n.Add(-1)
		}
	}()
	at, inst, err := st.enterFirst(ctx, s, op)
	if err != nil {
		op.err = err
		return
	}
	waits = false
	at.copying.Lock()
	b := batchPool.Get().(*batch)
	p.take(b, at, inst)
	q.n.Add(-int64(len(b.taken)))
	q.last.Store(int64(time.Since(op.arrived)))
	at.serve(inst, b)
	at.exit() // before the others go on, who may want it at once
	for _, other := range b.taken[1:] {
		other.word <- true
	}
	b.release()
}

// enterFirst takes an instance for the operation that is the first of those that wait, no
// longer than it may wait.
func (st *Store) enterFirst(ctx context.Context, s *shard, op *operation) (at *shard, inst *runner, err error) {
	q := &st.queue
	limited := ctx
	if q.patience > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(ctx, op.arrived.Add(q.patience))
		defer cancel()
	}
	at, inst, err = st.enterWaiting(limited, s)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			q.late.Add(1)
			err = st.refused(op.op, errLate)
		}
		return nil, nil, err
	}
	return at, inst.waits(ctx), nil
}

func (st *Store) enterWaiting(ctx context.Context, s *shard) (at *shard, inst *runner, err error) {
	if st.queue.slots != nil {
		select {
		case st.queue.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	if at = s; s == nil {
		at, inst, err = st.free(ctx)
	} else {
		inst, err = s.lock(ctx)
	}
	if err != nil {
		st.leaves()
	}
	return at, inst, err
}

// serve makes operations that were taken, of which the first is the caller's own. The shard's
// lock is held. If the guest is Go code that panics, all callers do.
func (s *shard) serve(inst *runner, b *batch) {
	copying := true
	copied := func() {
		if copying {
			copying = false
			s.copying.Unlock()
		}
	}
	defer func() {
		copied()
		if r := recover(); r != nil {
			text := fmt.Sprintf("%v\n%s", r, debug.Stack())
			for _, op := range b.taken {
				op.panicked = text
			}
		}
	}()
	if len(b.taken) == 1 {
		copied()
		s.serveOne(inst, b.taken[0])
		return
	}
	s.serveAll(inst, b, copied)
}

// serveOne makes one operation as if it had not waited with others.
func (s *shard) serveOne(inst *runner, op *operation) {
	if op.err = s.permits(inst, op); op.err != nil {
		return
	}
	value, err := s.make(inst, &op.request)
	s.conclude(op, value, s.done(op.op, inst, err))
}

// permits says why an operation may not be made now, which others may have caused meanwhile, and
// counts a write that may.
func (s *shard) permits(inst *runner, op *operation) error {
	if err := s.store.allowed(op.op); err != nil || op.op == opGet {
		return err
	}
	if err := s.store.writable(); err != nil {
		return s.done(op.op, inst, err)
	}
	op.mark = s.wrote()
	return nil
}

// make makes one operation. The value that a get returns lies in the guest's memory.
func (s *shard) make(inst *runner, r *request) ([]byte, error) {
	switch r.op {
	case opGet:
		return inst.Get(r.Key, r.Now)
	case opSet:
		return nil, inst.set(&r.Write)
	case opTouch:
		return nil, inst.touch(r.Key, r.Expires, r.Now, &s.scratch)
	default:
		return nil, inst.remove(r.Key, r.Now)
	}
}

// conclude gives an operation its outcome: an error, or for a get a copy of the value.
func (s *shard) conclude(op *operation, value []byte, err error) {
	if err == nil && op.op == opGet {
		err = s.store.checkResult(s.index, len(value), op.most)
	}
	if op.err = err; err == nil && op.op == opGet {
		op.value = append(make([]byte, 0, len(value)), value...)
	}
}
