package store

import "github.com/waddle-sessions/waddle/abi"

// ShardOf returns the shard that a key belongs to, of a number of shards that
// is a power of two; of 1 or less, that is shard 0. It is the same in every
// process, on every platform and in every later version, so that an engine that
// keeps each shard's data in a place of its own finds it again. [abi.ShardOf]
// says how it is found.
func ShardOf(key []byte, shards int) int { return abi.ShardOf(key, shards) }
