package cache_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

// fillings are ways to fill memory. Each returns the size of the n-th of total
// writes.
var fillings = []struct {
	name string
	size func(random *rand.Rand, n, total int) int
}{
	{"one size", func(*rand.Rand, int, int) int { return 300 }},
	{"empty values", func(*rand.Rand, int, int) int { return 0 }},
	{"growing", func(_ *rand.Rand, n, total int) int { return 8 + n*8000/total }},
	{"shrinking", func(_ *rand.Rand, n, total int) int { return 8008 - n*8000/total }},
	{"small, then large, then small", func(_ *rand.Rand, n, total int) int {
		if n*3/total == 1 {
			return 20_000
		}
		return 40
	}},
	{"huge", func(*rand.Rand, int, int) int { return 250_000 }},
	{"churn of all sizes", func(random *rand.Rand, _, _ int) int { return 1 << random.IntN(18) }},
	{"every size", func(_ *rand.Rand, n, _ int) int { return n % 9000 }},
	{"mostly small, sometimes huge", func(random *rand.Rand, _, _ int) int {
		if random.IntN(50) == 0 {
			return 100_000 + random.IntN(150_000)
		}
		return random.IntN(600)
	}},
}

func TestCacheStaysWithinItsBytes(t *testing.T) {
	const writes = 3000
	for _, maxBytes := range []int64{cache.MinBytes, 3 << 20, 16<<20 + 12345} {
		for _, filling := range fillings {
			t.Run(fmt.Sprintf("%s in %d KiB", filling.name, maxBytes>>10), func(t *testing.T) {
				c, err := cache.New(cache.Options{MaxBytes: maxBytes})
				require.NoError(t, err)
				random := rand.New(rand.NewPCG(3, 4))
				value := make([]byte, 1<<20)
				key := make([]byte, 16)
				for n := range writes {
					binary.LittleEndian.PutUint64(key, uint64(random.IntN(writes)))
					w := guest.Write{Key: key, Value: value[:filling.size(random, n, writes)], Now: 1}
					if err := c.Set(w); err != nil {
						require.NoError(t, err, "write %d of %d bytes", n, len(w.Value))
					}
					if got, err := c.Get(key, 1); err != nil || len(got) != len(w.Value) {
						require.NoError(t, err)
						require.Len(t, got, len(w.Value))
					}
					if c.Bytes() > maxBytes {
						require.LessOrEqual(t, c.Bytes(), maxBytes)
					}
				}
				require.NoError(t, c.Verify())
			})
		}
	}
}

// Values of one size must be able to use nearly all of the room.
func TestCacheUsesItsBytes(t *testing.T) {
	for _, size := range []int{40, 300, 1000, 4000} {
		c, err := cache.New(cache.Options{MaxBytes: 4 << 20})
		require.NoError(t, err)
		value := make([]byte, size)
		key := make([]byte, 32)
		for n := range uint64(50_000) {
			binary.LittleEndian.PutUint64(key, n)
			require.NoError(t, c.Set(guest.Write{Key: key, Value: value, Now: 1}))
		}
		require.NotZero(t, c.Stats().Evicted)
		perRecord := float64(c.Bytes())/float64(c.Len()) - 32 - float64(size)
		t.Logf("values of %d bytes: %.1f bytes more per record", size, perRecord)
		require.Less(t, perRecord, 64.0+float64(size)/10)
	}
}

func TestEverythingThatIsRemovedIsFreed(t *testing.T) {
	tests := []struct {
		name   string
		remove func(t *testing.T, c *cache.Cache, keys [][]byte)
	}{
		{"delete", func(t *testing.T, c *cache.Cache, keys [][]byte) {
			for _, key := range keys {
				require.NoError(t, c.Delete(key, 1))
			}
		}},
		{"clear", func(t *testing.T, c *cache.Cache, _ [][]byte) { require.NoError(t, c.Clear(1)) }},
		{"sweep", func(t *testing.T, c *cache.Cache, keys [][]byte) {
			removed, err := c.Sweep(len(keys), 1000)
			require.NoError(t, err)
			require.Equal(t, len(keys), removed)
		}},
		{"save", func(t *testing.T, c *cache.Cache, keys [][]byte) {
			for range len(keys) {
				require.NoError(t, c.Save(1000))
			}
		}},
		{"get of what has expired", func(t *testing.T, c *cache.Cache, keys [][]byte) {
			for _, key := range keys {
				_, err := c.Get(key, 1000)
				require.ErrorIs(t, err, guest.ErrNotFound)
			}
		}},
		{"touch into the past", func(t *testing.T, c *cache.Cache, keys [][]byte) {
			for _, key := range keys {
				require.NoError(t, c.Touch(key, 1, 1))
			}
		}},
		{"write of what has expired", func(t *testing.T, c *cache.Cache, keys [][]byte) {
			for _, key := range keys {
				require.NoError(t, c.Set(guest.Write{Key: key, Expires: 1, Now: 1}))
			}
		}},
		{"writes of other keys, in passing", func(t *testing.T, c *cache.Cache, keys [][]byte) {
			for range keys {
				require.NoError(t, c.Set(guest.Write{Key: []byte("one"), Now: 1000}))
			}
			require.NoError(t, c.Delete([]byte("one"), 1000))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := cache.New(cache.Options{MaxBytes: 16 << 20})
			require.NoError(t, err)
			empty := c.Bytes()
			var keys [][]byte
			for n := range 8000 {
				keys = append(keys, fmt.Appendf(nil, "key %d", n))
				require.NoError(t, c.Set(guest.Write{Key: keys[n], Value: make([]byte, n%700), Expires: 500, Now: 1}))
			}
			big := []byte("big")
			require.NoError(t, c.Set(guest.Write{Key: big, Value: make([]byte, 500_000), Expires: 500, Now: 1}))
			keys = append(keys, big)
			require.Equal(t, len(keys), c.Len())
			test.remove(t, c, keys)
			require.Zero(t, c.Len())
			require.NoError(t, c.Verify())
			// A page of slots remains, and buckets for the next thousand records.
			require.LessOrEqual(t, c.Bytes(), empty+32<<10)
		})
	}
}

func TestCacheOptions(t *testing.T) {
	for _, options := range []cache.Options{{}, {MaxBytes: cache.MinBytes - 1}, {MaxBytes: 1 << 20, MaxEntries: -1}} {
		_, err := cache.New(options)
		require.ErrorIs(t, err, guest.ErrInvalid, "%+v", options)
	}
}

// A write that fails must change nothing, and each kind of refusal has its own
// error.
func TestRefusedWritesChangeNothing(t *testing.T) {
	c, err := cache.New(cache.Options{MaxBytes: cache.MinBytes})
	require.NoError(t, err)
	require.NoError(t, c.Set(guest.Write{Key: []byte("k"), Value: []byte{7, 0, 'v'}, Expires: 100, Now: 1}))
	tests := []struct {
		name string
		w    guest.Write
		want error
	}{
		{"present", guest.Write{Value: []byte("x"), Expect: -1}, guest.ErrConflict},
		{"other revision", guest.Write{Value: []byte("x"), Expect: 7}, guest.ErrConflict},
		{"present, and the write has expired", guest.Write{Expires: 1, Expect: -1}, guest.ErrConflict},
		{"other revision, and the write has expired", guest.Write{Expires: 1, Expect: 8}, guest.ErrConflict},
		{"too large", guest.Write{Value: make([]byte, c.MaxValue()+1)}, guest.ErrTooLarge},
		{"much too large", guest.Write{Value: make([]byte, 3<<20)}, guest.ErrTooLarge},
	}
	for _, test := range tests {
		test.w.Key, test.w.Now = []byte("k"), 1
		require.ErrorIs(t, c.Set(test.w), test.want, test.name)
		value, err := c.Get([]byte("k"), 99)
		require.NoError(t, err, test.name)
		require.Equal(t, []byte{7, 0, 'v'}, value, test.name)
		require.NoError(t, c.Verify(), test.name)
	}
	revision := int64(7) | int64('v')<<16 // missing bytes of a value of three bytes count as zero
	require.NoError(t, c.Set(guest.Write{Key: []byte("k"), Value: make([]byte, c.MaxValue()), Now: 1, Expect: revision}))
	value, err := c.Get([]byte("k"), 1)
	require.NoError(t, err)
	require.Len(t, value, c.MaxValue())
	require.ErrorIs(t, c.Set(guest.Write{Key: nil, Now: 1}), guest.ErrInvalid)
	require.ErrorIs(t, c.Set(guest.Write{Key: make([]byte, 1025), Now: 1}), guest.ErrInvalid)
}

// No operation may leave garbage: the runtime collects only when memory has
// doubled, and there is no room to double into.
func TestOperationsAllocateNothing(t *testing.T) {
	c, err := cache.New(cache.Options{MaxBytes: cache.MinBytes})
	require.NoError(t, err)
	value := make([]byte, 3000)
	var key [8]byte
	n := uint64(0)
	set := func() error {
		n++
		binary.LittleEndian.PutUint64(key[:], n%5000)
		return c.Set(guest.Write{Key: key[:], Value: value[:n*37%3000], Expires: int64(n + 10 + n%2*5000), Now: int64(n), Expect: int64(n%3) - 1})
	}
	for range 10_000 {
		_ = set()
	}
	require.NotZero(t, c.Stats().Evicted)
	require.NotZero(t, c.Stats().Expired)
	require.Zero(t, testing.AllocsPerRun(5000, func() {
		_ = set()
		_, _ = c.Get(key[:], int64(n))
		_ = c.Touch(key[:], int64(n+100), int64(n))
		_, _ = c.Sweep(10, int64(n))
		_, _ = c.Get([]byte("absent"), 1)
		_ = c.Set(guest.Write{Key: nil})
		_ = c.Delete(key[:], 1)
	}))
}

// Until the first eviction nothing is kept for evicted records.
func TestOverheadBeforeEvictions(t *testing.T) {
	const records, size = 100_000, 300
	c, err := cache.New(cache.Options{MaxBytes: 128 << 20})
	require.NoError(t, err)
	value := make([]byte, size)
	var key [32]byte
	for n := range records {
		binary.LittleEndian.PutUint64(key[n%4*8:], uint64(n)+1)
		require.NoError(t, c.Set(guest.Write{Key: key[:], Value: value, Now: 1}))
	}
	require.Equal(t, records, c.Len())
	overhead := float64(c.Bytes())/records - float64(len(key)) - size
	t.Logf("%.1f bytes beyond key and value", overhead)
	require.Less(t, overhead, 44.0)
	require.NoError(t, c.Verify())
}
