// Package preflight reads the outline of a WebAssembly module (what it imports
// and exports, its memory, table and sizes) and refuses, before anything is
// compiled or run, one that is malformed, uses what a guest may not use, or
// would cost the host more than its size allows for.
//
// It exists because compilers and instantiation trust a module further than a
// host of foreign code can: thirty bytes can declare four thousand million
// local variables or a table of a hundred million entries, and a hundred
// kilobytes of nested blocks can keep an optimising compiler busy for a minute.
// Everything here is bounded by the module's length: no count in a module is
// believed that its remaining bytes do not carry.
//
// What compiling takes is estimated as the compiler works, and not by size alone:
// instructions by a table of what each takes; reads of locals by the basic blocks
// they are searched for in; calls by the globals that may have changed behind them;
// functions by the types and globals that the module has. Each term was measured. A
// search for modules that take more than is estimated is among the tests of the
// package above: WADDLE_SEARCH=1h go test -run TestSearchCompileCosts -timeout 2h.
//
// Every number that an instruction names is checked: of a local, global, function,
// type, label, segment, lane. The types of operands are not: that is the compiler's
// work, and it does it. A module that passes is thus not yet valid.
package preflight
