package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBuckets(t *testing.T) {
	for _, n := range []uint64{0, 1, 63, 64, 65, 127, 128, 129, 1000, 1 << 20, 1<<20 + 1, 1<<40 - 1, math.MaxInt64} {
		b := bucketOf(n)
		require.LessOrEqual(t, leastOf(b), n)
		if b+1 < buckets {
			require.Greater(t, leastOf(b+1), n)
		}
	}
	for b := range buckets - 1 {
		require.Equal(t, b, bucketOf(leastOf(b)))
		require.Equal(t, b, bucketOf(leastOf(b+1)-1))
		if from, to := leastOf(b), leastOf(b+1); to-from > 1 {
			require.LessOrEqual(t, float64(to-from)/float64(from), 1./steps, "a bucket is at most a 64th wide")
		}
	}
}

// The percentiles are those of the sorted samples, to the width of a bucket.
func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() time.Duration{
		"small":   func() time.Duration { return time.Duration(random.IntN(40)) },
		"even":    func() time.Duration { return time.Duration(random.IntN(1_000_000)) },
		"skewed":  func() time.Duration { return time.Duration(math.Exp(random.Float64() * 25)) },
		"one":     func() time.Duration { return 12345 },
		"outlier": func() time.Duration { return time.Duration(100 + 1_000_000_000*(random.IntN(5000)/4999)) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 2, 10, 999, 20_000} {
				var whole, part1, part2 Histogram
				var all []time.Duration
				var sum time.Duration
				for i := range n {
					d := draw()
					all, sum = append(all, d), sum+d
					if i%3 == 0 {
						part1.Add(d)
					} else {
						part2.Add(d)
					}
				}
				whole.Merge(&part1)
				whole.Merge(&part2)
				slices.Sort(all)
				require.Equal(t, all[n-1], whole.Max())
				require.Equal(t, uint64(n), whole.Count())
				require.Equal(t, sum, whole.Sum())
				for _, q := range []float64{.001, .5, .9, .99, .999, 1} {
					exact := all[int(math.Ceil(q*float64(n)))-1]
					got := whole.Quantile(q)
					require.GreaterOrEqual(t, got, exact, "%v of %d", q, n)
					require.LessOrEqual(t, float64(got), float64(exact)*(1+1./steps)+1, "%v of %d", q, n)
				}
			}
		})
	}
	require.Zero(t, new(Histogram).Quantile(.5))
}

func TestExtremes(t *testing.T) {
	var h Histogram
	require.Zero(t, h.Max())
	h.Add(-time.Second)
	h.Add(math.MaxInt64)
	require.Equal(t, uint64(2), h.Count())
	require.Zero(t, h.Quantile(.5))
	require.Equal(t, time.Duration(math.MaxInt64), h.Quantile(1))
	require.Equal(t, time.Duration(math.MaxInt64), h.Max())
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Add(12345) }))
}

func BenchmarkAdd(b *testing.B) {
	var h Histogram
	for i := 0; b.Loop(); i++ {
		h.Add(time.Duration(300 + i%1000))
	}
}
