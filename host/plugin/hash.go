package plugin

import "github.com/waddle-sessions/waddle/host/store"

// ShardOf returns the shard that a key belongs to, of a number of shards that
// is a power of two. It is the same in every process, on every platform and in
// every later version, so that an engine that keeps each shard's data in a
// place of its own finds it again. See [store.ShardOf] for how it is found.
func ShardOf(key []byte, shards int) int { return store.ShardOf(key, shards) }
