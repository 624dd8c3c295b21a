// Package storetest is the conformance suite: it checks a [store.Store] against
// the contract of package store and the specification in abi/SPEC.md.
//
// Every requirement is a check with a name such as "expiry/exact-millisecond".
// Each check opens a store of its own, so that none depends on another, and
// uses times of its own, so that no result depends on the clock. A failed check
// says what was called with which bytes, what came back, what was expected, and
// which section of the specification requires it.
//
// [Run] makes a subtest of every check; [Check] returns a [Report] outside of
// go test. Package plugintest does the same for a WebAssembly module, with
// additional checks of what only a module has.
//
// # What a store may do
//
// A store may be a cache that drops records to make room. It must keep a few
// thousand small records all the same, a few hundred kilobytes in all, unless
// it answers [store.ErrNoSpace]. Above that, a missing record is assumed to
// have been dropped, and one that is there must be right.
package storetest
