// Package plugintest is the conformance suite for a WebAssembly module. It runs
// the module in the host of package plugin and checks everything that package
// storetest checks of a store, and what only a module has: exports and their
// signatures, imports, the description, instances that survive everything,
// memory that does not grow for ever, shards that share nothing, and the
// exports themselves where a host hides what they answer.
//
// [Run] is for go test and [Check] for everything else; the command waddle test
// uses the latter.
package plugintest
