package plugin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/plugin/internal/fair"
)

// cell is a global of a guest.
type cell struct {
	api.MutableGlobal
	v uint64
}

func (c *cell) Get() uint64  { return c.v }
func (c *cell) Set(v uint64) { c.v = v }

func newTestMeter() *meter {
	c := &resolved{Config: Config{Shards: 1}}
	return &meter{left: new(cell), depth: &cell{v: shallow}, slice: slice, shared: newMeters(c, nil), used: new(uint64), turn: fair.New(1, false).Flow().Call()}
}

// ended returns the bound by which a step ended the call, or nil.
func ended(step func()) (e *exceeded) {
	defer func() {
		if r := recover(); r != nil {
			e = r.(*exceeded)
		}
	}()
	step()
	return nil
}

// Waits in functions of the host add up to a bound of their own, which is the deadline or,
// if that is short, what a busy machine needs.
func TestWaitingIsBoundedByItself(t *testing.T) {
	for deadline, most := range map[time.Duration]time.Duration{time.Millisecond: leastWait, time.Minute: time.Minute} {
		m := newTestMeter()
		m.begin(&bounds{fuel: 1 << 40, time: deadline})
		waits := func(d time.Duration) {
			m.wait()
			m.entered = m.entered.Add(-d)
			m.waitEnds()
		}
		require.Nil(t, ended(func() { waits(most * 2 / 5) }))
		require.Nil(t, ended(func() { waits(most * 2 / 5) }))
		e := ended(func() { waits(most * 2 / 5) })
		require.NotNil(t, e)
		require.Equal(t, ErrDeadline, e.kind)
		require.EqualValues(t, most, e.allowed)
		require.Greater(t, e.used, e.allowed)
		require.Contains(t, e.text(), "waited for")
		require.Zero(t, m.ran)
		m.end(int64(m.left.Get()))
		m.begin(&bounds{fuel: 1 << 40, time: deadline})
		require.Nil(t, ended(func() { waits(most * 2 / 5) }), "each call has its own")
	}
}

// A slice that takes long makes the next ones smaller, and quick ones larger again. What a
// call may use at all stays the same.
func TestSlicesFollowTheTimeTheyTake(t *testing.T) {
	m := newTestMeter()
	m.pace(50 * slowLap)
	require.EqualValues(t, slice/50, m.slice)
	m.pace(time.Hour)
	require.EqualValues(t, leastSlice, m.slice)
	m.pace(slowLap * 3 / 4)
	require.EqualValues(t, leastSlice, m.slice)
	for range 20 {
		m.pace(slowLap / 10)
	}
	require.EqualValues(t, slice, m.slice)

	for _, size := range []int64{leastSlice, 12345, slice} {
		m.slice = size
		m.begin(&bounds{fuel: 1 << 20, time: time.Hour})
		var e *exceeded
		for used := 0; e == nil; used += 1000 {
			require.LessOrEqual(t, used, 1<<20+1000)
			e = ended(func() { m.charge(1000) })
		}
		m.end(int64(m.left.Get()))
		require.EqualValues(t, 1049000, e.used, "whatever the slices")
	}
}

// A call gets the rest of the stack once, and the next begins with the first part.
func TestStackIsGivenInTwoParts(t *testing.T) {
	m := newTestMeter()
	m.begin(&bounds{fuel: 1 << 40, time: time.Hour})
	take := func(n int64) { m.depth.Set(m.depth.Get() - uint64(n)) }
	take(shallow + 1)
	require.Nil(t, ended(m.next))
	require.EqualValues(t, rewrite.DepthLimit-shallow-1, m.depth.Get())
	m.depth.Set(m.depth.Get() + shallow + 1)
	require.True(t, m.surfaced())
	require.False(t, m.surfaced())
	require.EqualValues(t, shallow, m.depth.Get())
	take(rewrite.DepthLimit + 1)
	e := ended(m.next)
	require.NotNil(t, e)
	require.Equal(t, ErrDepth, e.kind)
	require.EqualValues(t, rewrite.DepthLimit+1, e.used)
}
