package plugin

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The least recently used guest is the next to be counted or to sleep, whether it used its executor
// last by taking it or by staying on it.
func TestSeatsInOrder(t *testing.T) {
	h := newSeats(0, HostConfig{Memory: 1, AddressSpace: 1, Mappings: 1}.budgets(t.TempDir()))
	names := make(map[*seat]string)
	all := make(map[string]*seat)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s := new(seat)
		names[s], all[name] = name, s
		h.admit()
		h.join(s)
	}
	stays := func(name string) { all[name].recent.Store(true) }
	next := func(l *seatList) string { return names[h.next(l)] }

	h.use(all["a"])
	stays("b")
	stays("d")
	require.Equal(t, "c", next(&h.uses))
	require.Equal(t, "e", next(&h.uses))
	require.Equal(t, "a", next(&h.uses))
	require.Equal(t, "b", next(&h.uses), "which was looked at since")

	// Those that were counted come before all others.
	h.counted(all["d"])
	h.counted(all["b"])
	require.Equal(t, "d", next(&h.rests))
	require.Equal(t, "b", next(&h.rests))
	require.Empty(t, next(&h.rests))
	require.Equal(t, 5, h.len())

	for name := range all {
		stays(name)
	}
	require.Equal(t, "c", next(&h.uses), "if all were used, the one that came first")
	h.sleeps(all["c"])
	h.gone(all["c"])
	h.gone(all["e"])
	require.Equal(t, SharedStats{Awake: 3}, h.stats())
	require.Equal(t, "a", next(&h.uses))
	for _, name := range []string{"a", "b", "d"} {
		h.gone(all[name])
	}
	require.Empty(t, next(&h.uses))
	require.Zero(t, h.stats())
}
