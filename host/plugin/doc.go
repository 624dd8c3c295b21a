// Package plugin runs a storage engine that is a WebAssembly module as a
// [store.Store]. The contract between the two is package abi and its SPEC.md.
//
// [Open] checks a module before any of its code runs (marker, exports, imports,
// sizes), compiles it, and brings up a number of instances, the shards. Every
// key belongs to one shard for ever, and a shard does one operation at a time,
// so that an engine may keep its data in its own memory and needs no locks. An
// operation is one call into the guest.
//
// Plugins share a [Host]: compiled code, budgets of memory, mappings and handles, and
// a scheduler. [Host.Compile] gives a [Module], of which plugins are opened at little
// cost: their shards come up when they are first needed, and sleep when they are idle.
//
// # What a guest can do to its host
//
// A guest sees its own memory, which is bounded, and what it imports: a log and
// a message for its errors, and WASI preview 1 without files, sockets,
// arguments or environment. Whatever it does wrong (a trap, an exit, a pointer
// outside of its memory, a call beyond the deadline) ends the one instance; the
// caller gets an [Error] at once and the shard a new instance after a pause
// that doubles from 10 ms to 30 s while it goes on failing. Other shards and
// other plugins notice nothing.
//
// Time is bounded: a call that takes longer than [Config.Deadline] ends with
// [ErrDeadline], and its instance with it. That has its price: about a microsecond
// for each call and loops that run several times slower. The check sits at the
// head of loops only, so that code that recurses widely without any loop runs on
// until the recursion itself ends. Endless recursion overflows its stack, after a
// fifth of a second and up to 130 MB of it.
//
// [Config.Trusted] does away with the bound and its price, as the bundled engines
// do for themselves. A loop without end in a trusted guest blocks its shard for
// ever and, since native code cannot be interrupted, the whole process at the next
// garbage collection.
//
// Memory is bounded, for what a guest has, for what compiling it takes, and for
// what a module that is refused costs; the package's README.md has the figures.
//
// # Contexts
//
// The context of an operation is looked at before the guest is called and not
// again: a client that hangs up does not harm an engine that serves others. A
// call that has begun ends by the plugin's own limits alone.
package plugin
