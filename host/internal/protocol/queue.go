package protocol

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// queue bounds the operations on records that wait for an instance. An operation that
// finds one in time, as most do, knows nothing of it.
type queue struct {
	slots    chan struct{} // of operations that run at once; nil if the shards bound them
	most     int           // that wait; less than 0 for no bound
	patience time.Duration // 0 for no bound

	n          atomic.Int64
	full, late atomic.Uint64
	last       atomic.Int64 // how long the last one waited that had to
}

// QueueStats is what waits for instances, and what was refused.
type QueueStats struct {
	Waiting    int    // operations that wait now
	Full, Late uint64 // operations that were refused because the queue was full, or that waited too long
}

// Queue returns what waits for instances.
func (st *Store) Queue() QueueStats {
	q := &st.queue
	return QueueStats{Waiting: int(q.n.Load()), Full: q.full.Load(), Late: q.late.Load()}
}

func (q *queue) begin(c *Config) {
	q.most, q.patience = c.MaxQueue, c.QueueWait
	if c.MaxCalls > 0 && c.MaxCalls < c.Shards {
		q.slots = make(chan struct{}, c.MaxCalls)
	}
}

var (
	errFull = errors.New("the queue is full")
	errLate = errors.New("the call has waited too long")
)

func (q *queue) isFull() bool { return q.most >= 0 && q.n.Load() >= int64(q.most) }

// wait waits with get.
func (q *queue) wait(ctx context.Context, get func(context.Context) error) error {
	n := q.n.Add(1)
	defer q.n.Add(-1)
	if q.most >= 0 && n > int64(q.most) {
		q.full.Add(1)
		return errFull
	}
	limited := ctx
	if q.patience > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, q.patience, errLate)
		defer cancel()
	}
	began := time.Now()
	err := get(limited)
	switch {
	case err == nil:
		q.last.Store(int64(time.Since(began)))
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		q.late.Add(1)
		return errLate
	}
	return err
}

// slot takes one of the places for operations that run at once.
func (q *queue) slot(ctx context.Context) error {
	select {
	case q.slots <- struct{}{}:
		return nil
	default:
	}
	return q.wait(ctx, func(ctx context.Context) error {
		select {
		case q.slots <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// slotAtOnce takes a place if there is one, or if places are not counted.
func (q *queue) slotAtOnce() bool {
	if q.slots == nil {
		return true
	}
	select {
	case q.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// refused turns an error of waiting into the caller's.
func (st *Store) refused(op opKind, err error) error {
	q := &st.queue
	f := &Failure{Plugin: st.Name(), Op: op.String(), Shard: NoShard, Kind: ErrBusy}
	switch err {
	case errFull:
		// Who comes when there is room again waits about as long as the last one did.
		f.Limit, f.Allowed, f.RetryAfter = LimitQueue, int64(q.most), max(time.Duration(q.last.Load()), firstBackoff)
		f.Message = fmt.Sprintf("%d calls wait for it already, as many as may (MaxQueue)", q.most)
	case errLate:
		f.Limit, f.Allowed, f.RetryAfter = LimitQueueWait, int64(q.patience), q.patience
		f.Message = fmt.Sprintf("the call has waited for %v, as long as it may (QueueWait)", q.patience)
	default:
		return err
	}
	st.config.Exceeded(f.Limit)
	return st.config.Fail(f)
}

// enter is lock for an operation on a record, which is allowed and which the queue bounds. exit
// ends it. If there is no instance at once, and the operation should wait with others, enter returns
// errTogether.
func (s *shard) enter(ctx context.Context, op opKind) (*runner, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.store.queue.slots == nil && s.party.n.Load() == 0 && s.mu.TryLock() {
		return s.ready(ctx)
	}
	return s.enterLater(ctx, op)
}

// enterLater is enter for an operation that may have to wait.
func (s *shard) enterLater(ctx context.Context, op opKind) (*runner, error) {
	st := s.store
	if st.gathers(op) {
		if !s.enterAtOnce() {
			return nil, errTogether
		}
	} else if err := s.enterAlone(ctx, op); err != nil {
		return nil, err
	}
	inst, err := s.ready(ctx)
	if err != nil {
		st.leaves()
		return nil, err
	}
	s.taken++
	if err := st.allowed(op); err != nil { // others may have used it up meanwhile
		s.exit()
		return nil, err
	}
	return inst, nil
}

// enterAtOnce takes the shard's lock if nobody has it and nobody waits for it.
func (s *shard) enterAtOnce() bool {
	st := s.store
	if s.party.n.Load() > 0 || !st.queue.slotAtOnce() {
		return false
	}
	if s.mu.TryLock() {
		return true
	}
	st.leaves()
	return false
}

// enterAlone takes the shard's lock for an operation that waits by itself.
func (s *shard) enterAlone(ctx context.Context, op opKind) error {
	st := s.store
	if st.queue.slots != nil {
		if err := st.queue.slot(ctx); err != nil {
			return st.refused(op, err)
		}
	}
	// Trying again is for those that may wait: a flood that is refused must cost little.
	if !s.mu.TryLock() && (st.queue.isFull() || !s.spins()) {
		if err := st.queue.wait(ctx, s.await); err != nil {
			st.leaves()
			return st.refused(op, err)
		}
	}
	return nil
}

func (s *shard) exit() {
	s.unlock()
	s.store.leaves()
}

// enterAny is free for an operation on a record, as enter is lock.
func (st *Store) enterAny(ctx context.Context, op opKind) (s *shard, inst *runner, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	together := st.gathers(op)
	switch {
	case together && (st.anybody.n.Load() > 0 || !st.queue.slotAtOnce()):
		return nil, nil, errTogether
	case !together && st.queue.slots != nil:
		if err := st.queue.slot(ctx); err != nil {
			return nil, nil, st.refused(op, err)
		}
	}
	if st.waiting.n.Load() == 0 {
		if s, inst, _, err = st.tryFree(ctx); s != nil || err != nil {
			if err != nil {
				st.leaves()
			}
			return s, inst, err
		}
	}
	if together {
		st.leaves()
		return nil, nil, errTogether
	}
	return st.queueAny(ctx, op)
}

func (st *Store) queueAny(ctx context.Context, op opKind) (s *shard, inst *runner, err error) {
	err = st.queue.wait(ctx, func(ctx context.Context) (err error) {
		s, inst, err = st.free(ctx)
		return err
	})
	if err != nil {
		st.leaves()
		return nil, nil, st.refused(op, err)
	}
	if err := st.allowed(op); err != nil { // others may have used it up meanwhile
		s.exit()
		return nil, nil, err
	}
	return s, inst.waits(ctx), nil // as long as the operation lasts, and not the wait
}

func (st *Store) leaves() {
	if st.queue.slots != nil {
		<-st.queue.slots
	}
}
