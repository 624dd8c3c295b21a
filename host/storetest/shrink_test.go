package storetest_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest"
)

func halved(n int) []int {
	if n == 0 {
		return nil
	}
	return []int{0, n / 2, n - 1}
}

func TestShrink(t *testing.T) {
	long := make([]int, 200)
	for i := range long {
		long[i] = i
	}
	count := func(list []int, is func(int) bool) (n int) {
		for _, v := range list {
			if is(v) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		name  string
		fails func([]int) bool
		want  []int
	}{
		{"one that matters", func(l []int) bool { return slices.Contains(l, 137) }, []int{137}},
		{"two far apart", func(l []int) bool { return slices.Contains(l, 3) && slices.Contains(l, 180) }, []int{3, 180}},
		{"in an order", func(l []int) bool {
			a, b := slices.Index(l, 50), slices.Index(l, 60)
			return a >= 0 && b > a
		}, []int{50, 60}},
		{"simpler items", func(l []int) bool { return count(l, func(v int) bool { return v >= 5 }) >= 2 }, []int{5, 5}},
		{"always", func([]int) bool { return true }, []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, storetest.Shrink(long, halved, c.fails, 5000))
			require.Len(t, long, 200)
			require.Equal(t, 199, long[199], "the argument stays as it is")
		})
	}
}

// TestShrinkKeepsToItsBounds: the result fails, however few trials there are.
func TestShrinkKeepsToItsBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		items := make([]int, random.IntN(30)+1)
		for i := range items {
			items[i] = random.IntN(10)
		}
		sum := 0
		for _, v := range items {
			sum += v
		}
		threshold := random.IntN(sum + 1)
		most, tried := random.IntN(60), 0
		fails := func(l []int) bool {
			s := 0
			for _, v := range l {
				s += v
			}
			return s >= threshold
		}
		short := storetest.Shrink(items, halved, func(l []int) bool { tried++; return fails(l) }, most)
		require.LessOrEqual(t, tried, most)
		require.True(t, fails(short))
		require.LessOrEqual(t, len(short), len(items))
	}
}
