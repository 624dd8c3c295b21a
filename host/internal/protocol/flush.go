package protocol

import (
	"cmp"
	"context"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// round is a round of session_flush in progress in an instance. At its end every
// write from before its beginning is durable. The shard's lock guards it.
type round struct {
	running bool
	mark    mark
	course  course
}

// course is the progress of a round. A guest whose rounds do not end would keep
// Save and Close from ending. The host then asks it for no more steps, and
// session_save does all the work.
type course struct {
	calls, idle  int64
	first, least int64
}

const (
	// idleFlushes is how many calls in a row may make no progress.
	idleFlushes = 64

	// spareFlushes is how many calls a round may take beyond twice the number of
	// changes that it began with, of which at most mostFlushed count.
	spareFlushes = 1000
	mostFlushed  = 1 << 20
)

// goesOn reports whether the round may go on, given the changes that a call has left.
func (c *course) goesOn(left int64) bool {
	if c.calls++; c.calls == 1 {
		c.first, c.least = left, left
		return true
	}
	c.idle++
	if left < c.least {
		c.least, c.idle = left, 0
	}
	return c.idle < idleFlushes && c.calls < spareFlushes+2*min(c.first, mostFlushed)
}

// distrust makes the guest save everything at once from now on.
func (s *shard) distrust(inst *runner) {
	inst.lacks.flush = true
	s.store.config.Logger.Warn("a round of session_flush does not end: the guest saves everything at once from now on", "plugin", s.store.Name())
}

// flush makes the guest save in steps, between which others use the shard, until a
// write and all before it are durable. able is false if the guest can only save
// everything at once. An error ends it, and answered says whether the guest answered
// that error; session_save then reports the outcome.
//
// Each step gets the time anew, for the reason that [Store.SweepShard] has.
func (s *shard) flush(ctx context.Context, m mark, now func() store.Millis) (able, answered bool, err error) {
	p := &s.progress
	p.flushing.Lock()
	defer p.flushing.Unlock()
	var waits lull
	for !p.has(m) {
		step, err := s.flushStep(ctx, m, now())
		switch {
		case err != nil || !step.able:
			return step.able, step.answered, err
		case step.ended:
			p.note(step.upTo)
			continue
		}
		// A mutex usually goes to the latest arrival, which would be the next step.
		select {
		case <-time.After(max(min(step.took/2, mostPause), waits.after(step.left))):
		case <-ctx.Done():
			return true, false, ctx.Err()
		}
	}
	return true, false, nil
}

// lull tells a guest that waits for syncs of its own in the background from one that has
// work to do: a step leaves as much as the last. Such a guest is asked less and less often.
type lull struct {
	left  int64
	steps int
}

// firstWait is the pause after the first of such steps.
const firstWait = 50 * time.Microsecond

// after returns how long to pause after a step that has left so much.
func (w *lull) after(left int64) time.Duration {
	if left != w.left {
		*w = lull{left: left}
		return 0
	}
	pause := min(firstWait<<min(w.steps, 10), mostPause)
	w.steps++
	return pause
}

// mostPause is the longest pause between two steps, in which others use the shard.
const mostPause = 5 * time.Millisecond

// step is the result of a call of session_flush.
type step struct {
	able     bool // the guest has session_flush
	answered bool // with an error
	took     time.Duration
	left     int64
	ended    bool // the round ended, and its writes are durable
	upTo     mark
}

func (s *shard) flushStep(ctx context.Context, m mark, now store.Millis) (done step, err error) {
	done.able = true
	inst, err := s.lock(ctx)
	if err != nil {
		return done, err
	}
	defer s.unlock()
	switch {
	case s.generation != m.generation:
		return done, s.newError("flush", &Fault{Kind: ErrTrap, Message: "the instance that took the write failed before it was made durable"})
	case inst.lacks.flush:
		return step{}, nil
	case !s.round.running || s.round.mark.generation != s.generation:
		s.round = round{running: true, mark: s.written()}
	}
	began := time.Now()
	left, err := inst.flushSome(now)
	code, answered := CodeOf(err)
	if code == abi.Unsupported {
		inst.lacks.flush = true
		return step{}, nil
	}
	done.answered = answered
	if err == nil && left > 0 && !s.round.course.goesOn(left) {
		s.distrust(inst)
		return step{}, nil
	}
	s.round.running = err == nil && left > 0
	done.took, done.left, done.ended, done.upTo = time.Since(began), left, left == 0, s.round.mark
	return done, s.done(opFlush, inst, err)
}

// flushAll does the work of session_save step by step before the instance ends, and
// calls moved after each step. It ignores errors that the guest answers, since
// session_save will report them; it returns a failure of the instance.
func (s *shard) flushAll(inst *runner, now store.Millis, moved func()) error {
	rounds := 1
	if s.round.running {
		rounds++ // it began before the last writes
	}
	var c course
	most := s.store.config.Sequence
	for began := time.Now(); rounds > 0 && !inst.lacks.flush; {
		left, err := inst.flushSome(now)
		moved()
		if _, answered := CodeOf(err); answered {
			return nil
		}
		if err != nil {
			return s.done(opFlush, inst, err)
		}
		_ = s.done(opFlush, inst, nil)
		switch {
		case left == 0:
			rounds--
			c = course{}
		case !c.goesOn(left), most > 0 && time.Since(began) > most:
			s.distrust(inst)
		}
	}
	return nil
}

// flushSome makes one call and chooses the size of the next.
func (r *runner) flushSome(now store.Millis) (left int64, err error) {
	began := time.Now()
	left, err = r.Flush(r.flushSize.changes(), now)
	r.flushSize.adapt(time.Since(began))
	return left, err
}

// flushSize is how many changes a step makes durable. It adapts, since a sync can
// take a tenth of a millisecond or a tenth of a second. The zero value is ready to
// use.
type flushSize int

const (
	// flushTime is the longest step after which the next is as large: about the
	// time of one write made durable by itself.
	flushTime = 4 * time.Millisecond

	firstFlush, mostFlush = 4, 4096
)

func (s flushSize) changes() int { return cmp.Or(int(s), firstFlush) }

// adapt makes the next step larger or smaller according to how long one took.
func (s *flushSize) adapt(took time.Duration) {
	size := s.changes()
	switch {
	case took > flushTime:
		size = max(1, size/2)
	case took < flushTime/4:
		size = min(mostFlush, size*2)
	}
	*s = flushSize(size)
}
