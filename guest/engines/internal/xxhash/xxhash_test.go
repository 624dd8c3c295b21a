package xxhash_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/xxhash"
)

// Hashes of the bytes 0 to length-1, as github.com/cespare/xxhash v2.3.0 computes them.
var known = []struct {
	length    int
	seed, sum uint64
}{
	{0, 0x0, 0xef46db3751d8e999},
	{0, 0x1, 0xd5afba1336a3be4b},
	{0, 0x9e3779b97f4a7c15, 0xc4349fc93c010000},
	{1, 0x0, 0xe934a84adb052768},
	{1, 0x1, 0x771917c7f6ee2451},
	{1, 0x9e3779b97f4a7c15, 0x126bb57a12364aa5},
	{3, 0x0, 0xe5c7bb4533bc65dd},
	{3, 0x1, 0xa2168d89c582b451},
	{3, 0x9e3779b97f4a7c15, 0x67bc6ed5f6c6e4ba},
	{4, 0x0, 0xffced8604453cc1e},
	{4, 0x1, 0x94506f8c7e5870a9},
	{4, 0x9e3779b97f4a7c15, 0xd89842cd31e24e54},
	{7, 0x0, 0x14cc643f630c72d2},
	{7, 0x1, 0xaf4c5311c47c77b7},
	{7, 0x9e3779b97f4a7c15, 0xececf5faa8a7490e},
	{8, 0x0, 0x884a173614b81b8d},
	{8, 0x1, 0x9d2b7c7354fe4e23},
	{8, 0x9e3779b97f4a7c15, 0xd18b6d7a5a668732},
	{11, 0x0, 0x652a564a95365aca},
	{11, 0x1, 0x693ecb9e603d77b9},
	{11, 0x9e3779b97f4a7c15, 0xa82d910de8d2aeb5},
	{12, 0x0, 0x424af23f1f08dca5},
	{12, 0x1, 0x797cf4fac65d4c13},
	{12, 0x9e3779b97f4a7c15, 0x132649ea1128bfa2},
	{31, 0x0, 0xc346d2b59b4d8ee1},
	{31, 0x1, 0xf031031d65977dfc},
	{31, 0x9e3779b97f4a7c15, 0xf3da6d05709c035d},
	{32, 0x0, 0xcbf59c5116ff32b4},
	{32, 0x1, 0xd74e6766ce9dba94},
	{32, 0x9e3779b97f4a7c15, 0xa1c89217e9d50750},
	{33, 0x0, 0x0c535d1acafb8ead},
	{33, 0x1, 0xa371825f4210fe99},
	{33, 0x9e3779b97f4a7c15, 0xe6a3c00cd6e74075},
	{36, 0x0, 0xdde0ef85e3aef05c},
	{36, 0x1, 0x55996114491da704},
	{36, 0x9e3779b97f4a7c15, 0xb3dc51fdd276b77a},
	{63, 0x0, 0xe26aa9e2a95f8e4f},
	{63, 0x1, 0x5264ec0719e10595},
	{63, 0x9e3779b97f4a7c15, 0x26a0acd772de057e},
	{64, 0x0, 0xf7c67301db6713f0},
	{64, 0x1, 0x3ce5bdf7575926c0},
	{64, 0x9e3779b97f4a7c15, 0x2589245e62a1969b},
	{100, 0x0, 0x6ac1e58032166597},
	{100, 0x1, 0x3d19a3a2098a7023},
	{100, 0x9e3779b97f4a7c15, 0x3b97d91eba03e785},
}

func TestKnownSums(t *testing.T) {
	for _, k := range known {
		require.Equal(t, k.sum, xxhash.Sum(k.seed, counted(k.length)), "%d bytes with seed %#x", k.length, k.seed)
	}
}

func counted(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// Half of a sum, which is what engines store, changes with every bit, and about half of
// its bits do.
func TestEveryBitCounts(t *testing.T) {
	b := counted(100)
	changed := 0
	was := uint32(xxhash.Sum(1, b))
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		is := uint32(xxhash.Sum(1, b))
		b[bit/8] ^= 1 << (bit % 8)
		require.NotEqual(t, was, is, "bit %d", bit)
		for d := was ^ is; d > 0; d &= d - 1 {
			changed++
		}
	}
	require.InDelta(t, 16, float64(changed)/float64(8*len(b)), 1)
}

func BenchmarkSum(b *testing.B) {
	for name, length := range map[string]int{"header": 36, "session": 332, "much": 1 << 16} {
		b.Run(name, func(b *testing.B) {
			bytes := counted(length)
			b.SetBytes(int64(length))
			for b.Loop() {
				xxhash.Sum(7, bytes)
			}
		})
	}
}
