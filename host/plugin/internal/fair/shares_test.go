package fair

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// asks lets a call wait without a goroutine.
func asks(c *Call) {
	d := c.flow.d
	d.mu.Lock()
	defer d.mu.Unlock()
	c.told()
	c.flow.joins(c.kind(), c)
	d.dispatch()
}

// has reports whether the call that has asked got a turn.
func has(c *Call) bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// However long the calls of a plugin are and however many, plugins that always want to run get
// the same, but for a call or two; and one that comes and goes waits for no more than a few.
func TestShares(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		turns := 1 + random.IntN(4)
		d := New(turns, true)
		// More plugins than turns, so that the turns are what they compete for.
		flows := make([]*Flow, 2*turns+random.IntN(5))
		lengths, used := make([]int64, len(flows)), make([]int64, len(flows))
		index := map[*Flow]int{}
		var waiting, running []*Call
		var longest int64
		for i := range flows {
			flows[i] = d.Flow()
			index[flows[i]] = i
			lengths[i] = 1 + random.Int64N(tell/2)
			longest = max(longest, lengths[i])
			// At least one call waits at any time.
			for range turns + 1 + random.IntN(4) {
				c := flows[i].Call()
				asks(c)
				waiting = append(waiting, c)
			}
		}
		for step := range 3000 {
			kept := waiting[:0]
			for _, c := range waiting {
				if has(c) {
					running = append(running, c)
				} else {
					kept = append(kept, c)
				}
			}
			waiting = kept
			require.Len(t, running, turns, "no turn is idle and none is given twice")
			n := random.IntN(len(running))
			c := running[n]
			running = append(running[:n], running[n+1:]...)
			i := index[c.flow]
			used[i] += lengths[i]
			c.End(lengths[i])
			asks(c)
			waiting = append(waiting, c)
			least, most := used[0], used[0]
			for _, u := range used {
				least, most = min(least, u), max(most, u)
			}
			// Each turn can hold a call of any plugin whose length is not known yet.
			require.LessOrEqual(t, most-least, int64(turns+2)*2*longest, "seed %d, step %d: %v", seed, step, used)
		}
	}
}

// What plugins used before they were idle does not order them.
func TestThePastDoesNotOrder(t *testing.T) {
	d := New(1, true)
	past, never, busy := d.Flow().Call(), d.Flow().Call(), d.Flow().Call()
	for range 3 {
		past.Begin(none)
		past.End(tell)
	}
	for range 1000 {
		busy.Begin(none)
		busy.End(tell)
	}
	busy.Begin(none)
	asks(past)
	asks(never)
	busy.End(tell)
	require.True(t, has(past), "it came first")
	past.End(1)
	require.True(t, has(never))
	never.End(1)
}
