package fair

import (
	"context"
	"time"
)

// Call is a place for the calls of a flow, one after the other, such as an instance of a
// guest. One goroutine at a time uses it.
type Call struct {
	flow  *Flow
	ready chan struct{} // a turn was given to it; made when it first waits

	holds   bool          // a turn
	long    bool          // it has run for longer than Short
	turn    time.Duration // what the call had run for when its quantum began
	rested  time.Duration // what it had run for when it last rested
	rests   bool          // it gave its turn up so that short calls can run
	owed    int64         // fuel that the flow was not told
	arrived uint64        // guarded by the dispatcher's lock
}

// Call makes a place for calls of the flow.
func (f *Flow) Call() *Call { return &Call{flow: f} }

// Calm reports that calls take no turns at this moment, so that Begin would return at once.
func (c *Call) Calm() bool { return !c.flow.d.engaged.Load() }

// Begin waits for a turn, if calls take turns. It returns false if the context ended before
// there was one. A nil context never ends.
func (c *Call) Begin(ctx context.Context) bool {
	d := c.flow.d
	if !d.engaged.Load() {
		return true
	}
	if d.take() {
		c.holds = true
		return true
	}
	var done <-chan struct{}
	if ctx != nil {
		done = ctx.Done() // not earlier: a context may start its time then
	}
	return c.wait(done)
}

// BeginLong waits for a turn for a call that is known to be long and tells of nothing before its
// end.
func (c *Call) BeginLong() {
	d := c.flow.d
	d.mu.Lock()
	d.engage()
	d.mu.Unlock()
	c.long = true
	c.wait(nil)
}

// End gives the turn back, if there is one, after a call of whatever outcome, which used
// that much fuel since it last told.
func (c *Call) End(fuel int64) {
	if c.holds || c.long { // else it took no turn
		c.ends(fuel)
	}
}

func (c *Call) ends(fuel int64) {
	c.owed += fuel
	c.release()
	c.long, c.turn, c.rested = false, 0, 0
}

// Used tells that the call has used fuel since it last told, and for how long it has run
// altogether. It reports whether the call has given its turn up. The caller then calls
// [Call.Again], and may first let go of what it has only while it runs.
func (c *Call) Used(fuel int64, ran time.Duration) (gaveUp bool) {
	d := c.flow.d
	if !c.holds {
		return ran >= Noticed && c.noticed(fuel, ran)
	}
	c.owed += fuel
	waited := d.single() && d.word.Load() >= oneWaits
	over := ran >= Short
	if c.long {
		over = ran-c.turn >= Quantum || d.work.Load() > 0
	}
	if !waited && !over {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c.told()
	if c.long {
		d.long--
	}
	c.long = c.long || ran >= Short
	if c.goesOn(ran, over) {
		if over {
			c.turn = ran
		}
		c.starts()
		return false
	}
	c.turn = ran
	if c.rests = d.long < d.mostLong && c.mayRest(ran); c.rests {
		c.rested = ran
		d.long++ // no other long call may take its place
	} else {
		c.flow.joins(c.kind(), c)
	}
	c.holds = false
	d.give()
	d.dispatch()
	return true
}

// noticed makes a call that runs without a turn take one.
func (c *Call) noticed(fuel int64, ran time.Duration) (gaveUp bool) {
	d := c.flow.d
	d.mu.Lock()
	defer d.mu.Unlock()
	d.engage()
	c.owed += fuel
	c.told()
	c.long, c.turn, c.rested = ran >= Short, ran, ran
	c.flow.joins(c.kind(), c)
	d.dispatch()
	if !c.holds {
		return true
	}
	<-c.ready
	return false
}

// goesOn reports whether no call that waits should run rather than this one, whose
// quantum may be over. The caller holds the lock.
func (c *Call) goesOn(ran time.Duration, over bool) bool {
	d := c.flow.d
	if c.long && d.long >= d.mostLong || over && c.mayRest(ran) {
		return false
	}
	f, kind := d.next()
	if f == nil || !over && kind == long {
		return true
	}
	return f.tag >= c.flow.tag
}

// mayRest reports whether the call should let short calls run although none waits for a turn:
// what they need to begin, such as the arrival of a request, needs a processor, too. The caller
// holds the lock.
func (c *Call) mayRest(ran time.Duration) bool {
	d := c.flow.d
	if !c.long {
		return false
	}
	if d.single() {
		return ran-c.rested >= quantaToRest*Quantum
	}
	work := int(d.work.Load())
	return work > 0 && d.long+work+1 >= d.turns
}

const (
	// quantaToRest is how many quanta pass between rests where there is only one turn.
	quantaToRest = 4
	// rest is how long a call rests at least where there is only one turn. Systems sleep for a
	// millisecond or so. restBeside is how long it rests beside work that leaves it no processor.
	rest       = Quantum / 4
	restBeside = 4 * Quantum
)

// Again waits for another turn, after Used.
func (c *Call) Again() {
	if c.rests {
		c.rests = false
		if d := c.flow.d; d.work.Load() > 0 {
			time.Sleep(restBeside)
		} else {
			time.Sleep(rest)
		}
		c.wakes()
	}
	c.await(nil)
}

// wakes asks for a turn after a rest. Another long call may come first.
func (c *Call) wakes() {
	d := c.flow.d
	d.mu.Lock()
	defer d.mu.Unlock()
	d.long--
	c.flow.joins(c.kind(), c)
	d.dispatch()
}

// Pause gives the turn up while the call waits for something else, such as a disk.
func (c *Call) Pause() { c.release() }

// Resume takes a turn again after Pause, and reports whether it had to wait.
func (c *Call) Resume() (waited bool) {
	d := c.flow.d
	if c.holds || !d.engaged.Load() {
		return false
	}
	if !c.long && d.take() {
		c.holds = true
		return false
	}
	c.wait(nil)
	return true
}

// wait waits for a turn.
func (c *Call) wait(done <-chan struct{}) bool {
	d := c.flow.d
	d.mu.Lock()
	c.told()
	c.flow.joins(c.kind(), c)
	d.dispatch()
	d.mu.Unlock()
	return c.await(done)
}

// await waits for the turn that the call has asked for.
func (c *Call) await(done <-chan struct{}) bool {
	select {
	case <-c.ready: // there was one
		return true
	default:
	}
	began := time.Now()
	select {
	case <-c.ready:
	case <-done:
		c.withdraw()
	}
	c.flow.waits.Add(1)
	c.flow.waited.Add(int64(time.Since(began)))
	return c.holds
}

// withdraw ends waiting. A turn that was given meanwhile goes to the next.
func (c *Call) withdraw() {
	d := c.flow.d
	d.mu.Lock()
	if !c.holds {
		c.flow.leaves(c.kind(), c)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	<-c.ready
	c.release()
}

// release gives the turn back.
func (c *Call) release() {
	if !c.holds {
		return
	}
	c.holds = false
	d := c.flow.d
	if !c.long && c.owed < tell && !d.give() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.long || c.owed >= tell {
		if c.long {
			d.long--
		}
		d.give()
		d.tells()
	}
	c.told()
	d.dispatch()
}

// told tells the flow what was used. The caller holds the lock.
func (c *Call) told() {
	if c.owed > 0 {
		c.flow.spend(c.owed)
		c.owed = 0
	}
}

// starts says that the call has a turn. The caller holds the lock.
func (c *Call) starts() {
	c.holds = true
	if c.long {
		c.flow.d.long++
	}
}

func (c *Call) kind() int {
	if c.long {
		return long
	}
	return short
}
