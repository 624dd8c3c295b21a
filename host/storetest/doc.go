// Package storetest is the conformance suite: it holds a [store.Store] to the
// contract of package store and to the specification in abi/SPEC.md.
//
// Every requirement is a check with a name such as "expiry/exact-millisecond".
// Each check opens a store of its own, so that none depends on another, and
// makes calls with times of its own, so that no result depends on the clock. A
// check that fails says what was called with which bytes, what came back, what
// was expected, and in which section of the specification that stands.
//
// [Run] makes a subtest of every check; [Check] gives a [Report] outside of go
// test. Package plugintest does the same for a WebAssembly module, with more
// that only a module has.
//
// # What a store may do
//
// A store may be a cache that drops records to make room. It must keep a few
// thousand small records all the same, a few hundred kilobytes in all, unless
// it answers [store.ErrNoSpace]; above that, a record that is missing is taken
// for dropped, and one that is there must be right.
package storetest
