package plugin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
)

// counting is a global that counts how often it is set.
type counting struct {
	api.MutableGlobal
	v, sets uint64
}

func (c *counting) Get() uint64  { return c.v }
func (c *counting) Set(v uint64) { c.v, c.sets = v, c.sets+1 }

// call lets a guest use fuel in a call of its own.
func (c *counting) call(m *meter, allowed *bounds, fuel uint64) {
	m.begin(allowed)
	c.v -= fuel
	m.end(int64(c.v))
}

// A slice of fuel lasts for many calls. What each of them has used is counted all the same.
func TestASliceLastsForManyCalls(t *testing.T) {
	m, left := newTestMeter(), new(counting)
	m.left = left
	allowed := &bounds{fuel: 1 << 40, time: time.Second}
	for n := range uint64(10_000) {
		left.call(m, allowed, 100)
		require.Equal(t, 100*(n+1), *m.used)
		require.LessOrEqual(t, left.v, uint64(slice))
	}
	require.Less(t, left.sets, uint64(10))

	// No call begins with more than it may use, or than takes long enough to be in the way.
	left.call(m, &bounds{fuel: 500, time: time.Second}, 0)
	require.EqualValues(t, 500, left.v)
	left.call(m, allowed, 0)
	require.EqualValues(t, slice, left.v)
	m.slice = leastSlice
	left.call(m, allowed, 0)
	require.EqualValues(t, leastSlice, left.v)

	// Another executor has its own.
	other := &counting{v: 1}
	m.moves(other, m.depth)
	used := *m.used
	other.call(m, allowed, 7)
	require.Equal(t, used+7, *m.used)
	require.EqualValues(t, leastSlice-7, other.v)
}

// Whoever reads statistics sees all that was used, however little that is.
func TestFuelIsSettledForStatistics(t *testing.T) {
	m, left := newTestMeter(), new(counting)
	m.left = left
	inst := &instance{meter: m}
	m.used = &inst.register.Fuel
	left.call(m, &bounds{fuel: 1 << 40, time: time.Second}, 3)
	require.Zero(t, m.shared.used(0), "cores would share the counter")
	require.EqualValues(t, 3, inst.Fuel())
	require.EqualValues(t, 3, m.shared.used(0))
}
