package guest

import "github.com/waddle-sessions/waddle/abi"

// Mount is where an engine that keeps files finds its directory, unless whoever
// runs it gave it another name. All instances have the same one: what belongs to
// one of them has [Config.Shard] in its name, or is the file of a single key. One
// process has it, so that no locks are needed; whatever is in it stays as it is
// when an instance ends, at whatever point of a call that is.
const Mount = abi.MountPath

// ShardOf returns the shard that a key belongs to, of so many shards. It never
// changes. An engine needs it that finds its records with any number of shards,
// see [Info].Reshard: to divide files anew, or to enumerate, sweep and clear of
// files that are not divided those that are its own.
func ShardOf(key []byte, shards int) int { return abi.ShardOf(key, shards) }
