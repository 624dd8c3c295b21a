// Package plugin runs a storage engine that is a WebAssembly module as a
// [store.Store]. The contract between the two is package abi and its SPEC.md.
//
// [Open] checks a module before any of its code runs (marker, exports, imports,
// sizes), compiles it, and starts a number of instances, the shards. Every key
// belongs to one shard for ever, and a shard does one operation at a time. An
// engine may therefore keep its data in its own memory and needs no locks. An
// operation is one call into the guest.
//
// Plugins share a [Host]: compiled code, budgets of memory, mappings and handles, and
// a scheduler. [Host.Compile] returns a [Module], which opens plugins at little cost:
// their shards start when they are first needed, and sleep when they are idle. With
// [Config.Shared], plugins of one module take turns on a few instances, and thousands of
// them fit where each would have had its own.
//
// # What a guest can do to its host
//
// A guest sees its own memory, which is bounded, and its imports: a log and a
// message for its errors, and WASI preview 1 without arguments or environment; files only
// with [Config.Mounts], connections only with [Config.Network]. A fault (a trap, an exit, a pointer outside of its memory, a call
// beyond its bounds) ends only that instance. The caller gets an [Error] at once.
// The shard gets a new instance after a pause that doubles from 10 ms to 30 s while
// it goes on failing. Other shards and other plugins notice nothing.
//
// Computing is bounded. Before a module is compiled, the host adds code to it that counts
// fuel: a unit for each simple instruction, more for others, and the length of bulk
// operations. A call that uses more than [Config.Fuel], or runs for longer than
// [Config.Deadline], ends with [ErrFuel] or [ErrDeadline], and its instance with it. If a
// guest uses more than [Config.FuelRate] per second, the next operations are refused with
// [ErrRate]; nothing else changes. Calls that are nested too deep end with [ErrDepth]. A
// guest gives Go control every 0.3 ms at the latest, as a rule, so neither a loop nor recursion holds the
// garbage collector. Metering costs some per cent of a call's time.
//
// [Config.Trusted] removes these bounds and their price; the bundled engines set it for
// themselves. An endless loop in a trusted guest blocks its shard for ever. At the next
// garbage collection it blocks the whole process, since native code cannot be
// interrupted.
//
// Memory is bounded: a guest's own, what compiling it takes, and what a refused module
// costs. The package's README.md has the figures.
//
// # Contexts
//
// The plugin checks the context of an operation before it calls the guest, and not
// again: a client that hangs up does not harm an engine that serves others. Only the
// plugin's own limits end a call that has begun. The deadline of a context, and not its end,
// also bounds how long the call may wait for a network.
package plugin
