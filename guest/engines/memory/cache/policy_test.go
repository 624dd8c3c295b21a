package cache_test

import (
	"container/list"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

// lru is an exact least-recently-used cache to compare with.
type lru struct {
	capacity int
	order    list.List
	at       map[uint64]*list.Element
}

func (l *lru) use(key uint64) (hit bool) {
	if e, ok := l.at[key]; ok {
		l.order.MoveToFront(e)
		return true
	}
	if l.order.Len() == l.capacity {
		oldest := l.order.Back()
		delete(l.at, oldest.Value.(uint64))
		l.order.Remove(oldest)
	}
	l.at[key] = l.order.PushFront(key)
	return false
}

// use reads a record, and writes it if it is absent, as a host does.
func use(t *testing.T, c *cache.Cache, key uint64) (hit bool) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], key)
	if _, err := c.Get(b[:], 1); err == nil {
		return true
	}
	require.NoError(t, c.Set(guest.Write{Key: b[:], Value: b[:], Now: 1}))
	return false
}

// trace is a sequence of keys.
type trace func(random *rand.Rand, yield func(key uint64))

func zipf(s float64, keys uint64, uses int) trace {
	return func(random *rand.Rand, yield func(uint64)) {
		z := rand.NewZipf(random, s, 1, keys-1)
		for range uses {
			yield(z.Uint64())
		}
	}
}

// mixed interrupts a trace at intervals with a run of other keys: new ones each time
// (a scan, such as a crawler's sessions), or always the same (a loop).
func mixed(base trace, every, run int, loop bool) trace {
	return func(random *rand.Rand, yield func(uint64)) {
		uses, next := 0, uint64(1<<40)
		base(random, func(key uint64) {
			yield(key)
			if uses++; uses%every != 0 {
				return
			}
			if loop {
				next = 1 << 40
			}
			for range run {
				yield(next)
				next++
			}
		})
	}
}

// drifting is a working set that moves: users come, click for a while, and go.
func drifting(keys, uses, clicks int) trace {
	return func(random *rand.Rand, yield func(uint64)) {
		active := make([]uint64, keys)
		next := uint64(0)
		for i := range active {
			active[i] = next
			next++
		}
		for range uses {
			i := random.IntN(keys)
			yield(active[i])
			if random.IntN(clicks) == 0 {
				active[i] = next
				next++
			}
		}
	}
}

func TestEvictionIsAtLeastAsGoodAsLRU(t *testing.T) {
	const capacity = 1000
	tests := []struct {
		name  string
		trace trace
		// margin is how much better the hit ratio must be, in points.
		margin float64
	}{
		{"zipf 1.01", zipf(1.01, 100_000, 300_000), 0.02},
		{"zipf 1.1", zipf(1.1, 100_000, 300_000), 0.01},
		{"zipf 1.3", zipf(1.3, 100_000, 300_000), 0.002},
		{"zipf and scans", mixed(zipf(1.1, 100_000, 200_000), 1000, 1500, false), 0.02},
		{"zipf and a loop larger than the cache", mixed(zipf(1.1, 100_000, 200_000), 1000, 1500, true), 0.02},
		{"zipf and a loop smaller than the cache", mixed(zipf(1.1, 100_000, 200_000), 1000, 500, true), 0.005},
		{"crawlers between users", mixed(drifting(500, 200_000, 50), 10, 20, false), 0.02},
		{"loop larger than the cache", mixed(zipf(3, 2, 100), 1, 1500, true), 0},
		{"loop smaller than the cache", mixed(zipf(3, 2, 100), 1, 900, true), 0},
		{"crawlers between many users", mixed(drifting(900, 200_000, 50), 10, 2, false), 0.1},
		// Here only recency predicts who comes back, so LRU is the best there is. It
		// may be better by half a point, no more.
		{"fewer users than room, come and go", drifting(700, 200_000, 50), -0.0005},
		{"as many users as room, come and go", drifting(900, 200_000, 50), -0.005},
		{"more users than room, come and go", drifting(1500, 200_000, 50), -0.005},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := cache.New(cache.Options{MaxBytes: 8 << 20, MaxEntries: capacity})
			require.NoError(t, err)
			reference := lru{capacity: capacity, at: make(map[uint64]*list.Element)}
			uses, ours, theirs := 0.0, 0.0, 0.0
			test.trace(rand.New(rand.NewPCG(1, 2)), func(key uint64) {
				uses++
				if use(t, c, key) {
					ours++
				}
				if reference.use(key) {
					theirs++
				}
			})
			require.NoError(t, c.Verify())
			require.LessOrEqual(t, c.Len(), capacity)
			t.Logf("hit ratio %.4f, of LRU %.4f", ours/uses, theirs/uses)
			require.GreaterOrEqual(t, ours/uses, theirs/uses+test.margin)
		})
	}
}

// When every record is in use and one of another size needs a whole block, some
// hundred records are evicted. Finding each must not mean passing over thousands.
func TestOneWriteSparesABoundedNumber(t *testing.T) {
	c, err := cache.New(cache.Options{MaxBytes: 8 << 20})
	require.NoError(t, err)
	for key := range uint64(40_000) {
		use(t, c, key)
	}
	for key := range uint64(40_000) {
		_, _ = c.Get(binary.LittleEndian.AppendUint64(nil, key), 1)
	}
	most := 0
	for n := range 200 {
		require.NoError(t, c.Set(guest.Write{Key: []byte{byte(n)}, Value: make([]byte, 60_000), Now: 1}))
		most = max(most, c.Spared())
	}
	require.Greater(t, most, 100)
	require.Less(t, most, 2000)
}

// Once it has been swept, a cache removes no record as expired by a later time than
// the sweep's, whatever time operations give: a clock that leaps ahead and is set
// right costs nothing.
func TestClockThatLeaps(t *testing.T) {
	const now, year = int64(1 << 40), int64(365 * 86400_000)
	c, err := cache.New(cache.Options{MaxBytes: cache.MinBytes, MaxEntries: 100})
	require.NoError(t, err)
	put := func(i int, at int64) {
		require.NoError(t, c.Set(guest.Write{Key: fmt.Append(nil, "key ", i), Value: []byte("v"), Expires: at + 1000, Now: at}))
	}
	for i := range 50 {
		put(i, now)
	}
	_, err = c.Sweep(1, now)
	require.NoError(t, err)
	for i := range 50 {
		key := fmt.Append(nil, "key ", i)
		_, err := c.Get(key, now+year)
		require.ErrorIs(t, err, guest.ErrNotFound, "it has expired by that time")
		require.ErrorIs(t, c.Touch(key, now+2*year, now+year), guest.ErrNotFound)
		put(100+i, now+year)
	}
	require.Equal(t, 100, c.Len())
	for i := range 50 {
		_, err := c.Get(fmt.Append(nil, "key ", i), now+999)
		require.NoError(t, err)
	}
	_, err = c.Sweep(1000, now+year)
	require.NoError(t, err)
	require.Equal(t, 50, c.Len(), "the sweeper is believed")
	require.EqualValues(t, 50, c.Stats().Expired)
}
