package plugin

import (
	"container/heap"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultShards(t *testing.T) {
	for processors, want := range map[int]int{1: 2, 2: 4, 3: 8, 4: 8, 16: 32, 32: 64, 33: 64, 1000: 64} {
		require.Equal(t, want, shardsFor(processors), "%d processors", processors)
		require.True(t, possibleShards(shardsFor(processors)))
	}
}

// The default number of shards is enough that calls of requests seldom meet, however many processors
// there are, in a model that has no scheduler, no caches and no noise. A request spends a tenth of its time
// in a guest.
func TestDefaultShardsKeepCallsApart(t *testing.T) {
	const call, rest = 1, 9
	for _, processors := range []int{2, 4, 16, 32} {
		shards := shardsFor(processors)
		c := contention(processors, shards, call, rest)
		require.Greater(t, c.share, 0.99, "%d processors get most of what they could do", processors)
		require.Less(t, c.met, 0.06, "%d processors, %d shards", processors, shards)

		one := contention(processors, 1, call, rest)
		require.Less(t, one.share, c.share)
		if processors >= 16 {
			require.Less(t, one.share, 0.7, "with one shard %d processors wait for it", processors)
		}
	}
	// A program that does nothing but call guests would gain by more.
	for _, c := range []struct {
		processors, shards int
		least, most        float64
	}{{2, 4, 0.85, 0.93}, {2, 8, 0.92, 0.97}, {16, 32, 0.70, 0.90}, {16, 64, 0.82, 0.95}, {16, 16, 0.5, 0.8}} {
		got := contention(c.processors, c.shards, call, 0).share
		t.Logf("%d processors, %d shards, nothing but calls: %.2f of what they could do", c.processors, c.shards, got)
		require.Greater(t, got, c.least, "%+v", c)
		require.Less(t, got, c.most, "%+v", c)
	}
}

// contended is what a model says of processors that share shards.
type contended struct {
	met   float64 // how many of the calls found their shard in use
	share float64 // of what the processors could do if none waited
}

// contention lets each processor call a random shard, which takes its calls one after the other, and then do
// something else for half to one and a half times as long as rest says.
func contention(processors, shards int, call, rest float64) contended {
	const calls = 200_000
	r := rand.New(rand.NewPCG(1, 2))
	free := make([]float64, shards) // when each shard is
	ready := make(times, processors)
	for i := range ready {
		ready[i] = r.Float64() * (call + rest)
	}
	heap.Init(&ready)
	met, busy, end := 0, 0.0, 0.0
	for range calls {
		now, shard := ready[0], r.IntN(shards)
		begins := max(now, free[shard])
		if begins > now {
			met++
		}
		free[shard] = begins + call
		own := rest * (0.5 + r.Float64())
		busy += call + own
		ready[0] = begins + call + own
		end = max(end, ready[0])
		heap.Fix(&ready, 0)
	}
	return contended{met: float64(met) / calls, share: busy / (end * float64(processors))}
}

// times is a heap of moments.
type times []float64

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i] < t[j] }
func (t times) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *times) Push(x any)        { *t = append(*t, x.(float64)) }
func (t *times) Pop() any          { last := (*t)[len(*t)-1]; *t = (*t)[:len(*t)-1]; return last }
