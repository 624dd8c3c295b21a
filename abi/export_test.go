package abi

// KeyHash is the number whose top bits are the shard.
var KeyHash = keyHash
