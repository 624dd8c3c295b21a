package store

import (
	"encoding/binary"
	"math/bits"
)

// ShardOf returns the shard that a key belongs to, of a number of shards that
// is a power of two; of 1 or less, that is shard 0. It is the same in every
// process, on every platform and in every later version, so that an engine that
// keeps each shard's data in a place of its own finds it again.
//
// The hash starts with the key's length, takes the key in little-endian words
// of eight bytes, the last one filled up with zeros, and for each does
// h = (h xor word) * 0x9e3779b97f4a7c15, then h = h xor (h >> 32). The shard is
// the number that the top bits of the last h multiplied once more form. It
// spreads keys well that are spread themselves, as the hashes that sessions are
// stored under; someone who chooses keys at will can choose their shard.
func ShardOf(key []byte, shards int) int {
	if shards <= 1 {
		return 0
	}
	const prime = 0x9e3779b97f4a7c15
	h := uint64(len(key))
	for len(key) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(key)) * prime
		h ^= h >> 32
		key = key[8:]
	}
	if len(key) > 0 {
		var last [8]byte
		copy(last[:], key)
		h = (h ^ binary.LittleEndian.Uint64(last[:])) * prime
		h ^= h >> 32
	}
	h *= prime
	return int(h >> (65 - uint(bits.Len(uint(shards)))))
}
