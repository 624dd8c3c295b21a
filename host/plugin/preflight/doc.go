// Package preflight reads the outline of a WebAssembly module: its imports and exports,
// memory, table and sizes. Before anything is compiled or run, it refuses a module that
// is malformed, uses something that a guest may not use, or would cost the host more
// than its size allows for.
//
// Compilers and instantiation trust a module further than a host of foreign code can.
// Thirty bytes can declare four thousand million local variables or a table of a hundred
// million entries. A hundred kilobytes of nested blocks can keep an optimising compiler
// busy for a minute. Everything in this package is bounded by the module's length: it
// believes no count that the remaining bytes do not carry.
//
// The estimates of what compiling takes follow how the compiler works, not size alone.
// They count instructions by a table of costs; reads of locals by the basic blocks that
// the compiler searches for them; calls by the globals that they may have changed;
// functions by the types and globals of the module. Each term was measured. A test of
// the package above searches for modules that take more than the estimate:
// WADDLE_SEARCH=1h go test -run TestSearchCompileCosts -timeout 2h.
//
// The package checks every index in an instruction: of a local, global, function, type,
// label, segment or lane. It does not check the types of operands, which the compiler
// does. So a module that passes is not yet valid.
package preflight
