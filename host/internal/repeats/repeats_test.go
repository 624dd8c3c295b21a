package repeats

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A day of one failure a millisecond is so many lines, which count all of them.
func TestRepeatsAreThinned(t *testing.T) {
	r := Filter{First: 3}
	now := time.UnixMilli(1_767_225_600_000)
	said, unsaid := 0, 0
	const failures = 24 * 60 * 60 * 10
	for i := range failures {
		if ok, n := r.Take(fmt.Sprintf("shard %d failed after %dms", i%8, i), now.Add(time.Duration(i)*100*time.Millisecond)); ok {
			said, unsaid = said+1, unsaid+n
		}
	}
	require.Greater(t, said, 24)
	require.Less(t, said, 40)
	require.InDelta(t, failures, said+unsaid, 60*60*10, "all but those of the last interval")

	end := now.Add(24 * time.Hour)
	ok, _ := r.Take("shard x failed for another reason", end)
	require.True(t, ok, "a class of its own")
	for i := range 3 {
		ok, _ = r.Take("shard 1 failed after 1ms", end.Add(3*time.Hour))
		require.True(t, ok, "it had ended: %d", i)
	}
	ok, _ = r.Take("shard 1 failed after 1ms", end.Add(3*time.Hour))
	require.False(t, ok)
	ok, _ = r.Take("shard 1 failed after 1ms", now)
	require.True(t, ok, "the clock went back")
}

func TestRepeatsAreBounded(t *testing.T) {
	r := Filter{First: 1}
	now := time.UnixMilli(1_767_225_600_000)
	said := 0
	for i := range 10_000 {
		name := "z" + strings.Repeat("x", i%150) + strings.Repeat("y", i/150)
		if ok, _ := r.Take(name, now); ok {
			said++
		}
	}
	require.Equal(t, repeatClasses+1, said)
	require.Len(t, r.classes, repeatClasses+1)
	ok, _ := r.Take("new", now.Add(time.Hour))
	require.True(t, ok, "those that have ended make room")
	require.Len(t, r.classes, 1)
}
