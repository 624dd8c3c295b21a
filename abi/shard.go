package abi

import "encoding/binary"

// ShardOf returns the shard that a key belongs to. shards is a power of two; for 1 or
// less the shard is 0. The function is part of the interface and never changes: it gives
// the same answer in every process, on every platform and in every later version, so that
// a guest that keeps each shard's data in a separate place finds it again.
//
// The hash starts with the key's length. It takes the key in little-endian words of eight
// bytes, the last one filled up with zeros, and for each computes h = (h xor word) *
// 0x9e3779b97f4a7c15, then h = h xor (h >> 32). The last h is multiplied once more, and
// its top bits are the number of the shard. The hash spreads keys well if they are well
// spread themselves, as the hashes that sessions are stored under are. Someone who
// chooses keys freely can choose their shard.
func ShardOf(key []byte, shards int) int {
	if shards <= 1 {
		return 0
	}
	// Multiplying the top 32 bits by a power of two moves as many bits above bit 32 as
	// its logarithm says.
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
