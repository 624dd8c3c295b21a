package siphash_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/siphash"
)

// published is the key of the authors' test vectors: the bytes 0 to 15.
var published = siphash.Key{K0: 0x0706050403020100, K1: 0x0f0e0d0c0b0a0908}

// counted returns the messages of those vectors: the bytes 0 to n-1.
func counted(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// plain is SipHash-c-d as the paper gives it, byte by byte. The test checks it
// against the value in the paper, which is for two rounds and four.
func plain(k siphash.Key, c, d int, b []byte) uint64 {
	v := [4]uint64{k.K0 ^ 0x736f6d6570736575, k.K1 ^ 0x646f72616e646f6d, k.K0 ^ 0x6c7967656e657261, k.K1 ^ 0x7465646279746573}
	rotate := func(i, n int) { v[i] = v[i]<<n | v[i]>>(64-n) }
	half := func(i, j, n, m int) { // add, rotate and xor on two of the pairs
		v[i] += v[j]
		rotate(j, n)
		v[j] ^= v[i]
		if m != 0 {
			rotate(i, m)
		}
	}
	rounds := func(n int) {
		for range n {
			half(0, 1, 13, 32)
			half(2, 3, 16, 0)
			half(0, 3, 21, 0)
			half(2, 1, 17, 32)
		}
	}
	message := append([]byte(nil), b...)
	for len(message)%8 != 7 {
		message = append(message, 0)
	}
	message = append(message, byte(len(b)))
	for at := 0; at < len(message); at += 8 {
		var word uint64
		for i := range 8 {
			word += uint64(message[at+i]) << (8 * i)
		}
		v[3] ^= word
		rounds(c)
		v[0] ^= word
	}
	v[2] ^= 0xff
	rounds(d)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func TestSum(t *testing.T) {
	// The paper's appendix A.
	require.Equal(t, uint64(0xa129ca6149be45e5), plain(published, 2, 4, counted(15)))

	rng := rand.New(rand.NewPCG(1, 1))
	for length := range 300 { // beyond 255, where the length's byte starts over
		b := make([]byte, length)
		for range 20 {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			k := siphash.Key{K0: rng.Uint64(), K1: rng.Uint64()}
			require.Equal(t, plain(k, 1, 3, b), k.Sum(b), "%d bytes", length)
		}
	}
}

// TestSumStays: hashes written to disk must stay the same for ever. The values come
// from another implementation, Rust's DefaultHasher, whose key is zero.
func TestSumStays(t *testing.T) {
	for length, want := range map[int]uint64{
		0:    0xd1fba762150c532c,
		1:    0x68a914128e01e473,
		7:    0x2f098ab0c751325a,
		8:    0xead411e67ebe2eea,
		15:   0xf30eb725bb91c9ea,
		32:   0x31ef8061c910629b,
		63:   0x385d3e39e5f37359,
		1024: 0x41032c18454f7c06,
	} {
		require.Equal(t, want, siphash.Key{}.Sum(counted(length)), "%d bytes", length)
	}
	require.Equal(t, uint64(0xabac0158050fc4dc), published.Sum(nil), "with a key")
}

func TestSumDoesNotAllocate(t *testing.T) {
	b := counted(1024)
	require.Zero(t, testing.AllocsPerRun(100, func() { published.Sum(b) }))
}

func BenchmarkSum(b *testing.B) {
	for _, size := range []int{32, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			key := counted(size)
			b.SetBytes(int64(size))
			for b.Loop() {
				published.Sum(key)
			}
		})
	}
}

func Example() {
	secret := siphash.Key{K0: 0x0123456789abcdef, K1: 0xfedcba9876543210} // use random numbers in real code
	fmt.Println(secret.Sum([]byte("duck")) == secret.Sum([]byte("goose")))
	// Output: false
}
