package abi

import "encoding/binary"

// ShardOf returns the shard that a key belongs to, of a number of shards that
// is a power of two; of 1 or less, that is shard 0. It is part of the interface
// and never changes: in every process, on every platform and in every later version
// it is the same, so that who keeps each shard's data in a place of its own finds it
// again.
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
	// The top 32 bits times a power of two: its logarithm is the number of bits
	// that come out at the top.
	return int(keyHash(key) >> 32 * uint64(shards) >> 32)
}

// keyHash is the number whose top bits are the shard.
func keyHash(key []byte) uint64 {
	const prime = 0x9e3779b97f4a7c15
	h := uint64(len(key))
	for len(key) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(key)) * prime
		h ^= h >> 32
		key = key[8:]
	}
	if len(key) > 0 {
		h = (h ^ Revision(key)) * prime
		h ^= h >> 32
	}
	return h * prime
}
