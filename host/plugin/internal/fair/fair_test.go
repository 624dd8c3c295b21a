package fair

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// waits begins a call in a goroutine of its own, and returns when it waits.
func waits(t *testing.T, d *Dispatcher, c *Call, ctx context.Context) (began chan bool) {
	t.Helper()
	before := d.Stats().Waiting
	began = make(chan bool, 1)
	go func() { began <- c.Begin(ctx) }()
	require.Eventually(t, func() bool { return d.Stats().Waiting == before+1 }, time.Minute, 10*time.Microsecond)
	return began
}

// The plugin that has used the least runs next, however many calls others began before.
func TestLeastFuelRunsNext(t *testing.T) {
	d := New(1, true)
	greedy, modest := d.Flow(), d.Flow()
	held := greedy.Call()
	require.True(t, held.Begin(none))
	var flood []*Call
	var began []chan bool
	for range 8 {
		c := greedy.Call()
		flood, began = append(flood, c), append(began, waits(t, d, c, none))
	}
	last := modest.Call()
	let := waits(t, d, last, none)
	held.End(1000)
	require.True(t, <-let, "eight calls came before this one")
	last.End(10)
	for i, c := range flood {
		require.True(t, <-began[i], "in their own order")
		c.End(1000)
	}
	require.Equal(t, Stats{Engaged: true}, d.Stats())
}

// A plugin that was idle has saved up nothing.
func TestIdlenessIsNotSaved(t *testing.T) {
	d := New(1, true)
	busy, idle := d.Flow(), d.Flow()
	b := busy.Call()
	for range 1000 { // alone
		b.Begin(none)
		b.End(tell)
	}
	// From here on both always want to run.
	b.Begin(none)
	i := idle.Call()
	iBegan := waits(t, d, i, none)
	counts := map[*Flow]int{}
	b2, i2 := busy.Call(), idle.Call()
	running, other := b, b2
	waiting := map[*Call]chan bool{i: iBegan}
	for range 100 {
		waiting[other] = waits(t, d, other, none)
		running.End(tell)
		var next *Call
		for next == nil {
			for c, began := range waiting {
				select {
				case <-began:
					next = c
					delete(waiting, c)
				default:
				}
			}
		}
		counts[next.flow]++
		switch next {
		case b:
			running, other = b, b2
		case b2:
			running, other = b2, b
		case i:
			running, other = i, i2
		case i2:
			running, other = i2, i
		}
	}
	assert.InDelta(t, 50, counts[idle], 3, "a thousand slices of the past count for nothing")
	running.End(0)
	for c, began := range waiting {
		<-began
		c.End(0)
	}
}

// Long calls of other plugins leave a turn for short ones, and share the rest by fuel.
func TestLongCallsLeaveATurn(t *testing.T) {
	d := New(2, true)
	loops := []*Call{d.Flow().Call(), d.Flow().Call()}
	ran := make([]time.Duration, 2)
	loops[0].Begin(none)
	loops[1].Begin(none)
	require.False(t, loops[0].Used(tell, Short), "it becomes long")
	require.True(t, loops[1].Used(tell, Short), "there is one long call already")
	ran[0], ran[1] = Short, Short
	running, rests := 0, 1
	again := func() chan struct{} {
		c := make(chan struct{})
		i := rests
		go func() { loops[i].Again(); close(c) }()
		return c
	}
	waiting := again()
	short := d.Flow().Call()
	for range 20 {
		for range 10 {
			require.True(t, short.Begin(none), "a turn is free")
			require.Equal(t, Stats{Running: 2, Long: 1, Waiting: 1, Engaged: true}, d.Stats())
			short.End(10)
		}
		ran[running] += Quantum / 2
		require.False(t, loops[running].Used(tell/2, ran[running]), "its quantum is not over")
		ran[running] += Quantum / 2
		require.True(t, loops[running].Used(tell/2, ran[running]))
		<-waiting
		running, rests = rests, running
		waiting = again()
	}
	loops[running].End(0)
	<-waiting
	loops[rests].End(0)
	require.Equal(t, Stats{Engaged: true}, d.Stats())
	require.InDelta(t, ran[0], ran[1], float64(Quantum))
}

// Where there is one turn, a long call gives it up as soon as a slice is used up.
func TestSingleTurnIsGivenUp(t *testing.T) {
	d := New(1, true)
	loop, short := d.Flow().Call(), d.Flow().Call()
	loop.Begin(none)
	require.False(t, loop.Used(1000, 2*Quantum), "nobody waits")
	began := waits(t, d, short, none)
	require.True(t, loop.Used(1000, 2*Quantum+Quantum/8))
	again := make(chan struct{})
	go func() { loop.Again(); close(again) }()
	require.True(t, <-began)
	require.Equal(t, 1, d.Stats().Running)
	short.End(10)
	<-again
	require.True(t, loop.Used(1000, 9*Quantum), "it rests now and then: requests must be able to arrive")
	require.Equal(t, Stats{Long: 1, Engaged: true}, d.Stats())
	loop.Again()
	loop.End(0)
	require.Equal(t, Stats{Engaged: true}, d.Stats())
}

// Before a call is noticed, calls take no turns. After it they do, until it is quiet again.
func TestEngages(t *testing.T) {
	d := New(2, false)
	many := make([]*Call, 100)
	flow := d.Flow()
	for i := range many {
		many[i] = flow.Call()
		require.True(t, many[i].Begin(none))
		require.False(t, many[i].Used(1000, Noticed-1))
	}
	require.Equal(t, Stats{}, d.Stats())
	require.False(t, many[0].Used(1000, Noticed))
	require.Equal(t, Stats{Running: 1, Engaged: true}, d.Stats())
	require.False(t, many[1].Used(1000, Noticed))
	require.True(t, many[2].Used(1000, Noticed), "two are running")
	many[3].Pause()
	for _, c := range many[3:] {
		c.End(1000)
	}
	many[0].End(1000)
	many[2].Again()
	many[2].End(1000)
	require.Equal(t, Stats{Running: 1, Engaged: true}, d.Stats())
	many[1].End(1000)
	for range 32 {
		require.True(t, d.Stats().Engaged)
		many[0].Begin(none)
		many[0].End(tell)
	}
	require.Equal(t, Stats{}, d.Stats())
}

// A call that waits for a disk leaves its turn to others.
func TestPauses(t *testing.T) {
	d := New(1, true)
	slow, other := d.Flow().Call(), d.Flow().Call()
	slow.Begin(none)
	began := waits(t, d, other, none)
	slow.Pause()
	require.True(t, <-began)
	resumed := make(chan bool)
	go func() { resumed <- slow.Resume() }()
	require.Eventually(t, func() bool { return d.Stats().Waiting == 1 }, time.Minute, time.Millisecond)
	other.End(1)
	require.True(t, <-resumed)
	slow.Pause()
	slow.End(1) // it failed while it waited
	require.Equal(t, Stats{Engaged: true}, d.Stats())
	calls, sum := slow.flow.Waited()
	require.EqualValues(t, 1, calls)
	require.Positive(t, sum)
}

// A call that waits leaves when it is told to, and loses no turn.
func TestWithdraws(t *testing.T) {
	d := New(1, true)
	f := d.Flow()
	held := f.Call()
	held.Begin(none)
	ctx, cancel := context.WithCancel(t.Context())
	left := waits(t, d, f.Call(), ctx)
	stays := f.Call()
	stayed := waits(t, d, stays, none)
	cancel()
	require.False(t, <-left)
	require.Equal(t, 1, d.Stats().Waiting)
	held.End(1)
	require.True(t, <-stayed)
	stays.End(1)
	require.Equal(t, Stats{Engaged: true}, d.Stats())
}

// While something compiles, long calls rest between quanta, so that a processor is free.
func TestRestsBesideWork(t *testing.T) {
	d := New(2, true)
	c := d.Flow().Call()
	c.Begin(none)
	ends := d.Work()
	require.True(t, c.Used(1, Short))
	require.Equal(t, Stats{Long: 1, Engaged: true}, d.Stats())
	other := d.Flow().Call()
	other.Begin(none)
	require.True(t, other.Used(1, Short), "nor may another long call run meanwhile")
	require.Equal(t, Stats{Long: 1, Waiting: 1, Engaged: true}, d.Stats())
	short := d.Flow().Call()
	require.True(t, short.Begin(none), "short ones may")
	require.Equal(t, 1, d.Stats().Running)
	short.End(1)
	go c.Again()
	other.Again()
	ends()
	ends()
	require.False(t, other.Used(0, 2*Short), "its quantum is not over")
	other.End(1)
	require.Eventually(t, func() bool { return d.Stats() == Stats{Running: 1, Long: 1, Engaged: true} }, time.Minute, time.Millisecond)
}

// However calls come, end, wait, pause and leave on many goroutines, no more run than may, and
// every turn comes back.
func TestStorm(t *testing.T) {
	for _, turns := range []int{1, 2, 5} {
		for _, strict := range []bool{true, false} {
			storm(t, turns, strict)
		}
	}
}

func storm(t *testing.T, turns int, strict bool) {
	d := New(turns, strict)
	var running atomic.Int32
	enter := func() {
		if n := running.Add(1); strict && int(n) > turns {
			t.Errorf("%d calls ran at once, %d may", n, turns)
		}
	}
	leave := func() { running.Add(-1) }
	var all sync.WaitGroup
	for n := range 6 {
		f := d.Flow()
		for m := range 3 {
			all.Go(func() {
				c := f.Call()
				for i := range 300 {
					ctx, cancel := context.WithCancel(t.Context())
					if i%7 == m {
						go cancel()
					}
					if !c.Begin(ctx) {
						cancel()
						continue
					}
					enter()
					for s := range i % (n + 1) {
						if leave(); c.Used(tell/4, time.Duration(s)*Quantum/3) {
							c.Again()
						}
						enter()
					}
					if i%5 == 0 {
						leave()
						c.Pause()
						c.Resume()
						enter()
					}
					leave()
					c.End(tell / 8)
					cancel()
				}
			})
		}
	}
	all.Wait()
	s := d.Stats()
	s.Engaged = false
	require.Equal(t, Stats{}, s)
	require.Zero(t, d.waits[short].Len()+d.waits[long].Len())
}
