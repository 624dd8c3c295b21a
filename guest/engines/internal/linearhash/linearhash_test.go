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

// TestGrowAndShrink: each step moves hashes only between the two buckets that it
// names. Afterwards all are where they belong, and shrinking reverses growing.
func TestGrowAndShrink(t *testing.T) {
	h := newHashes()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		h.insert(rng.Uint32())
	}
	parents := []uint32{0}
	for n := uint32(1); n < 1100; n++ {
		parent, added := h.grow()
		require.Equal(t, n, added)
		require.Equal(t, bucketOf(n, n), parent)
		require.NoError(t, h.verify())
		require.Equal(t, linearhash.OfSize(n+1), h.table)
		parents = append(parents, parent)
	}
	for n := uint32(1099); n > 0; n-- {
		parent, removed := h.shrink()
		require.Equal(t, n, removed)
		require.Equal(t, parents[n], parent)
		require.NoError(t, h.verify())
		require.Equal(t, linearhash.OfSize(n), h.table)
	}
	require.Equal(t, linearhash.Table{}, h.table)
	require.Len(t, h.buckets[0], 2000)
}

// TestSearch: with a bucket for each record, chains are short.
func TestSearch(t *testing.T) {
	for _, records := range []int{1000, 1024, 1500, 20_000} {
		h := newHashes()
		rng := rand.New(rand.NewPCG(1, uint64(records)))
		for range records {
			h.insert(rng.Uint32())
			if h.table.Buckets() < h.count {
				h.grow()
			}
		}
		looked := 0
		for _, all := range h.buckets {
			looked += len(all) * (len(all) + 1) / 2
		}
		require.Less(t, looked, records*8/5)
	}
}

// TestRoomy: the number of buckets follows that of records down, two at a time,
// with a delay.
func TestRoomy(t *testing.T) {
	const most = 20_000
	table := linearhash.OfSize(most)
	for _, records := range []uint32{most, most * 2 / 3} {
		require.False(t, table.Roomy(records), "they may come back")
	}
	for records := uint32(most); records > 0; {
		records--
		before := table.Buckets()
		for range 2 {
			if table.Roomy(records) {
				table.Shrink()
			}
		}
		enough := records + records/2 + linearhash.Slack
		require.Equal(t, max(min(before, enough), before-2), table.Buckets(), "%d records", records)
		require.LessOrEqual(t, table.Buckets(), enough+1)
	}
	require.EqualValues(t, linearhash.Slack, table.Buckets())
	large := linearhash.OfSize(linearhash.MaxBuckets)
	require.False(t, large.Roomy(linearhash.MaxBuckets-1), "the sum fits")
}
