// Package siphash implements SipHash-1-3 (Aumasson and Bernstein, 2012; Rust and
// Python hash with the same rounds). Engines use it to find keys where the hash
// is written to disk. Someone who does not know its secret cannot choose keys
// whose hashes are equal or fall into one bucket.
package siphash

import (
	"encoding/binary"
	"math/bits"
)

// Key is the secret of a hash. Two random numbers make one; keys can be compared.
type Key struct{ K0, K1 uint64 }

// Sum returns the hash of b, the same on all machines. It does not allocate.
// Several goroutines may call it.
func (k Key) Sum(b []byte) uint64 {
	v0 := k.K0 ^ 0x736f6d6570736575
	v1 := k.K1 ^ 0x646f72616e646f6d
	v2 := k.K0 ^ 0x6c7967656e657261
	v3 := k.K1 ^ 0x7465646279746573
	last := uint64(len(b)) << 56 // the length's lowest byte, after what is left of b
	for len(b) >= 8 {
		m := binary.LittleEndian.Uint64(b)
		v3 ^= m
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
		v0 ^= m
		b = b[8:]
	}
	for i, rest := range b {
		last |= uint64(rest) << (8 * i)
	}
	v3 ^= last
	v0, v1, v2, v3 = round(v0, v1, v2, v3)
	v0 ^= last
	v2 ^= 0xff
	for range 3 {
		v0, v1, v2, v3 = round(v0, v1, v2, v3)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

func round(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32) + v3
	v2 += v1
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
