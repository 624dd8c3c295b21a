// Package plugintest is the conformance suite for a WebAssembly module: it runs
// the module in the host of package plugin, holds it to everything that package
// storetest holds a store to, and to what only a module has: exports and their
// signatures, imports, the description, instances that live through everything,
// memory that does not grow for ever, shards that share nothing, and the
// exports themselves where a host hides what they answer.
//
// [Run] is for go test and [Check] for everything else; the command waddle test
// is the latter.
package plugintest
