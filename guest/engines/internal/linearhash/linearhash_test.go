package linearhash_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

func TestBucket(t *testing.T) {
	var zero linearhash.Table
	require.EqualValues(t, 1, zero.Buckets())
	for _, hash := range []uint32{0, 1, 1 << 31, linearhash.End} {
		require.Zero(t, zero.Bucket(hash))
	}
	for _, c := range []struct{ buckets, hash, want uint32 }{
		{2, 0b10, 0}, {2, 0b11, 1},
		{3, 0b10, 2}, {3, 0b11, 1}, {3, 0b110, 2},
		{4, 0b11, 3},
		{5, 0b100, 4}, {5, 0b101, 1}, {5, 0b111, 3},
		{linearhash.MaxBuckets, 1<<31 | 5, 5},
		{linearhash.MaxBuckets, linearhash.End, linearhash.MaxBuckets - 1},
		{linearhash.MaxBuckets - 1, linearhash.End, 1<<30 - 1},
	} {
		table := linearhash.OfSize(c.buckets)
		require.Equal(t, c.buckets, table.Buckets())
		require.Equal(t, c.want, table.Bucket(c.hash), "%#b of %d", c.hash, c.buckets)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		buckets := rng.Uint32N(1<<(1+rng.UintN(31))) + 1
		table, hash := linearhash.OfSize(buckets), rng.Uint32()
		require.Equal(t, bucketOf(hash, buckets), table.Bucket(hash), "%#x of %d", hash, buckets)
	}
}

// TestSplit: a split touches two buckets and the slots of one, each once, and
// leaves slots in their order.
func TestSplit(t *testing.T) {
	h := newHashes()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		h.insert(rng.Uint32(), false)
	}
	for range 700 {
		before := h.table.Buckets()
		want := map[uint32][]uint32{}
		var parent uint32
		for bucket := range before {
			for _, id := range h.chain(bucket) {
				to := bucketOf(h.slots[id].hash, before+1)
				want[to] = append(want[to], id)
			}
		}
		touched := len(h.chain(bucketOf(before, before)))
		h.headCalls, h.slotCalls = 0, 0
		parent, added := h.split()
		require.Equal(t, before, added)
		require.Equal(t, bucketOf(before, before), parent)
		require.Equal(t, before+1, h.table.Buckets())
		require.LessOrEqual(t, h.headCalls, 2)
		require.Equal(t, touched, h.slotCalls)
		for bucket := range h.table.Buckets() {
			require.Equal(t, want[bucket], h.chain(bucket))
		}
	}
}

// TestGrowAndShrink: the number of buckets follows that of records in both
// directions, and not at once.
func TestGrowAndShrink(t *testing.T) {
	const most = 20_000
	h := newHashes()
	rng := rand.New(rand.NewPCG(1, 3))
	for n := range uint32(most) {
		h.insert(rng.Uint32(), true)
		require.Equal(t, n+1, h.table.Buckets())
	}
	require.NoError(t, h.verify())
	searched := 0
	for id := range uint32(most) {
		searched += h.steps(id)
	}
	require.Less(t, searched, most*8/5, "one and a half slots on the average")

	// Those that come and go at one number change nothing.
	for range 2000 {
		for range linearhash.Slack / 4 {
			h.remove(rng.Uint32N(uint32(len(h.slots))))
		}
		require.EqualValues(t, most, h.table.Buckets())
		for range linearhash.Slack / 4 {
			h.insert(rng.Uint32(), true)
		}
		require.EqualValues(t, most, h.table.Buckets())
		if testing.Short() {
			break
		}
	}
	for len(h.slots) > 0 {
		before := h.table.Buckets()
		h.remove(rng.Uint32N(uint32(len(h.slots))))
		records, buckets := uint32(len(h.slots)), h.table.Buckets()
		require.LessOrEqual(t, before-buckets, uint32(2))
		require.LessOrEqual(t, buckets, records+records/2+linearhash.Slack+1)
		require.GreaterOrEqual(t, buckets, min(before, records+records/2+linearhash.Slack))
		if records%500 == 0 {
			require.NoError(t, h.verify())
		}
	}
	require.EqualValues(t, linearhash.Slack, h.table.Buckets())
}

// TestShrinkKeepsChains: whoever shrinks a table further than its slots allow for
// has longer chains, and all of them.
func TestShrinkKeepsChains(t *testing.T) {
	h := newHashes()
	for hash := range uint32(2 * linearhash.Slack) {
		h.insert(hash, true)
	}
	for range 2 * linearhash.Slack {
		before := h.table.Buckets()
		h.table.Shrink(h, 0)
		require.LessOrEqual(t, before-h.table.Buckets(), uint32(2), "no call takes long")
		require.NoError(t, h.verify())
	}
	require.EqualValues(t, linearhash.Slack, h.table.Buckets())
	require.Len(t, h.slots, 2*linearhash.Slack)
}
