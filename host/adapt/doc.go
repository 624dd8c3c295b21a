// Package adapt has no code. The folders beside this file are modules, each of
// which brings sessions to one web framework, or the stores of sessions to another
// session library. Each has its own dependencies, which reach only those who import it.
//
// README.md compares what works in which framework. Package adapttest is the suite
// that fills the table, also for a framework of your own.
package adapt
