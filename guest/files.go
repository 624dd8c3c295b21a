package guest

import "github.com/waddle-sessions/waddle/abi"

// Mount is where an engine that keeps files finds its directory, unless the
// operator gave it another name. All instances have the same directory: files
// that belong to one instance have [Config.Shard] in their names, or there is one
// file per key. Only one process has the directory, so no locks are needed. An
// instance may end at any point of a call; files then stay as they are.
const Mount = abi.MountPath

// ShardOf returns the shard that a key belongs to, out of that many shards. It
// never changes. Only an engine with [Info].Reshard needs it: to divide its files
// anew, or, where files are not divided, to enumerate, sweep and clear only its
// own keys.
func ShardOf(key []byte, shards int) int { return abi.ShardOf(key, shards) }
