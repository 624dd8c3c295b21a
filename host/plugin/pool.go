package plugin

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
)

// pool has the executors of a module on which guests take turns. A guest that takes turns
// is a [seat].
type pool struct {
	base  base // what its guests begin as
	seats *seats
	most  int             // executors
	made  func(*executor) // is told of each, by tests

	mu      sync.Mutex
	all     []*executor
	count   atomic.Int32    // of all
	making  int             // of them, that are not in all yet
	hand    int             // of all, where the search for one that is free begins
	line    []chan struct{} // calls that wait for one, the earliest first
	waiting atomic.Int32    // as many, and a call that is about to look again
}

// A call that is paused for others, or waits in a function of the host, keeps its executor. So a
// module gets as many as calls of it are under way, up to a bound, and a few of them stay.
const (
	mostExecutors = 1024
	fewExecutors  = 16
)

// longestSit is how long a call waits for an executor.
const longestSit = 10 * time.Second

func newPool(seats *seats) *pool { return &pool{seats: seats, most: mostExecutors} }

// take puts a seat on an executor, which is busy from then on. The one that the seat was on
// last is preferred. Otherwise any that is free is taken from its guest; a new one is made
// while there are few; and then the call waits.
func (p *pool) take(s *seat) error {
	first, more := false, true // in the line; executors may be made
	for failed := 0; ; {
		p.mu.Lock()
		ex, wait := p.find(s, first, more)
		var err error
		if ex == nil && wait == nil {
			p.mu.Unlock()
			ex, err = p.make(s)
			p.mu.Lock()
			more = err == nil || len(p.all)+p.making == 0
		}
		if ex != nil && p.give(ex, s) {
			p.mu.Unlock()
			return nil
		}
		if ex != nil {
			p.remove(ex)
		}
		p.mu.Unlock()
		switch {
		case ex != nil:
			ex.close()
			if failed++; failed == 3 {
				return &protocol.Answer{Refused: store.ErrUnavailable, Message: "no executor took the guest's memory"}
			}
		case err != nil && more: // nobody has one that could become free
			return err
		case wait != nil:
			if err := p.await(s, wait); err != nil {
				return err
			}
			first, more = true, true
		}
	}
}

// find returns an executor that was free and is busy now, or a place in the line. If more may
// be made and there are few, it returns neither, and one is to be made. The lock is held.
func (p *pool) find(s *seat, first, more bool) (*executor, chan struct{}) {
	if ex := s.on; ex != nil && ex.seat == s {
		for !ex.busy.CompareAndSwap(false, true) { // somebody looks whose it is
			runtime.Gosched()
		}
		return ex, nil
	}
	p.waiting.Add(1) // so that nobody who lets one go now goes unnoticed
	for range p.all {
		ex := p.all[p.hand%len(p.all)]
		p.hand = (p.hand + 1) % len(p.all)
		if ex.busy.CompareAndSwap(false, true) {
			p.waiting.Add(-1)
			return ex, nil
		}
	}
	if n := len(p.all) + p.making; n == 0 || more && n < p.most {
		p.waiting.Add(-1)
		p.making++
		return nil, nil
	}
	wait := make(chan struct{}, 1)
	if first {
		p.line = slices.Insert(p.line, 0, wait)
	} else {
		p.line = append(p.line, wait)
	}
	return nil, wait
}

// give makes a busy executor run a seat's guest. It must be discarded if that fails. The
// lock is held: a guest's state is with its seat, or on one executor.
func (p *pool) give(ex *executor, s *seat) bool {
	if ex.seat == s {
		return true
	}
	ex.save()
	if !ex.become(s.extent.view) {
		return false
	}
	for i, g := range ex.globals {
		g.Set(s.globals[i])
	}
	ex.seat, ex.inst, ex.slot.grows = s, &s.instance, &s.room
	s.on = ex
	s.meterOn(ex)
	p.seats.switches.Add(1)
	return true
}

// release lets an executor go after a call. Its guest stays on it until another comes, or is
// taken off if there are more executors than calls are likely to need.
func (p *pool) release(ex *executor) {
	if p.count.Load() > fewExecutors && p.spare(ex) {
		return
	}
	ex.busy.Store(false)
	if p.waiting.Load() > 0 {
		p.mu.Lock()
		p.next()
		p.mu.Unlock()
	}
}

// spare ends a busy executor if enough others are free.
func (p *pool) spare(ex *executor) bool {
	p.mu.Lock()
	free := 0
	for _, other := range p.all {
		if !other.busy.Load() {
			free++
		}
	}
	enough := free >= fewExecutors
	if enough {
		ex.save()
		p.remove(ex)
	}
	p.mu.Unlock()
	if enough {
		ex.close()
	}
	return enough
}

// next lets the first call in the line look again. The lock is held.
func (p *pool) next() {
	if len(p.line) > 0 {
		p.line[0] <- struct{}{} // has room for one
		p.line = slices.Delete(p.line, 0, 1)
		p.waiting.Add(-1)
	}
}

// discard ends a busy executor whose guest has failed.
func (p *pool) discard(ex *executor) {
	p.mu.Lock()
	p.remove(ex)
	p.mu.Unlock()
	ex.close()
}

// remove takes a busy executor out. The lock is held.
func (p *pool) remove(ex *executor) {
	if i := slices.Index(p.all, ex); i >= 0 {
		p.all = slices.Delete(p.all, i, i+1)
		p.count.Add(-1)
	}
	ex.seat = nil
	p.next()
}

// leave takes a seat, which is in no call, off its executor, so that its memory can go.
func (p *pool) leave(s *seat) {
	p.mu.Lock()
	ex := s.on
	s.on = nil
	if ex == nil || ex.seat != s {
		p.mu.Unlock()
		return
	}
	for !ex.busy.CompareAndSwap(false, true) { // somebody looks whose it is
		runtime.Gosched()
	}
	ex.save()
	ex.seat, ex.inst, ex.slot.grows = nil, nil, nil
	fit := ex.become(parked)
	if !fit {
		p.remove(ex)
	}
	p.mu.Unlock()
	if fit {
		p.release(ex)
	} else {
		ex.close()
	}
}

// await waits in the line.
func (p *pool) await(s *seat, wait chan struct{}) (err error) {
	within := s.register.Caller
	if within == nil {
		within = context.Background()
	}
	s.aside(func() { // others need the turn in order to let an executor go
		late := time.NewTimer(longestSit)
		defer late.Stop()
		select {
		case <-wait:
			return
		case <-within.Done():
			err = &protocol.Left{Err: within.Err()}
		case <-late.C:
			s.machine.limits.count(LimitQueueWait)
			err = &protocol.Answer{Refused: ErrBusy, Limit: LimitQueueWait, Allowed: int64(longestSit), Used: int64(longestSit),
				Message: fmt.Sprintf("calls of the same module have all of its %d executors, and waiting for one takes more than %v", p.most, longestSit)}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if i := slices.Index(p.line, wait); i >= 0 {
			p.line = slices.Delete(p.line, i, i+1)
			p.waiting.Add(-1)
		} else {
			p.next() // it was woken in vain
		}
	})
	return err
}

// make makes an executor, of which find has taken note. It is busy.
func (p *pool) make(s *seat) (ex *executor, err error) {
	s.aside(func() {
		err = heavy(s.machine.flow, func() (err error) {
			ex, err = newSharedExecutor(s.machine)
			return err
		})
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making--
	if err != nil {
		p.next()
		return nil, refusedBy(err)
	}
	ex.busy.Store(true)
	if p.made != nil {
		p.made(ex)
	}
	p.all = append(p.all, ex)
	p.count.Add(1)
	return ex, nil
}

// refusedBy is the answer to a call that was not made because something that it takes could
// not be had.
func refusedBy(err error) *protocol.Answer {
	r, kind := refusalOf(err), store.ErrUnavailable
	if errors.Is(err, ErrBudget) {
		kind = ErrBudget
	}
	return &protocol.Answer{Refused: kind, Limit: r.limit, Allowed: r.allowed, Used: r.used, Message: spentOf(err)}
}

// close ends all executors. No seat is left.
func (p *pool) close() error {
	for _, ex := range p.all {
		ex.close()
	}
	p.all = nil
	return p.base.close()
}
