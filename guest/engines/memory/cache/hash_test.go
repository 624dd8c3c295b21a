package cache

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// Keys that look alike must be spread as well as any others, for every secret.
func TestHashSpreadsKeysThatLookAlike(t *testing.T) {
	const keys, buckets = 1 << 14, 1 << 12
	families := map[string]func(n uint64) []byte{
		"counted up, little-endian": func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) },
		"counted up, big-endian":    func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) },
		"counted up at the end": func(n uint64) []byte {
			return append(make([]byte, 27), byte(n), byte(n>>8))
		},
		"zeros of all lengths": func(n uint64) []byte { return append(make([]byte, n%1000), byte(n/1000)) },
		"multiples of 2^20":    func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n<<20) },
	}
	for name, key := range families {
		for range 5 {
			var h hasher
			h.init()
			var counts [buckets]int
			for n := range uint64(keys) {
				counts[h.sum(key(n))>>1%buckets]++
			}
			most := 0
			for _, count := range counts {
				most = max(most, count)
			}
			// There are 4 keys per bucket on average. The chance of 22 or more
			// in any of 4096 is below one in a million.
			require.Less(t, most, 22, name)
		}
	}
}

func TestEqual(t *testing.T) {
	for length := range 40 {
		a := make([]byte, length)
		b := make([]byte, length)
		require.True(t, equal(a, b))
		for i := range b {
			b[i] ^= 1
			require.False(t, equal(a, b), "byte %d of %d differs", i, length)
			b[i] ^= 1
		}
	}
}

// Every need must have a cell that is large enough, and not far too large.
func TestCellClasses(t *testing.T) {
	var c cells
	c.reset()
	for need := 1; need <= blockSize; need++ {
		size := c.classes[classOf(need)].size
		switch {
		case size < need, size%granule != 0,
			need <= fineMax && size-need >= 2*granule,
			need <= blockSize/8 && size > need*9/8+4*granule:
			require.Fail(t, "wrong cell", "%d bytes for %d", size, need)
		}
	}
	for _, keyLen := range []int{1, 32, 1024} {
		for valueLen := range 5 * blockSize {
			chain, inCell, need := shape(keyLen, valueLen)
			if need > blockSize || inCell < 0 || inCell+chain*chainBytes < valueLen ||
				chain > 0 && inCell+(chain-1)*chainBytes >= valueLen {
				require.Fail(t, "impossible shape", "key %d, value %d: %d blocks, %d in a cell of %d",
					keyLen, valueLen, chain, inCell, need)
			}
		}
	}
}
