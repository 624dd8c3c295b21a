// Package adapt has no code. Most folders beside this file are modules, each of which
// brings sessions to one web framework, or stores to another session library. A program
// that imports one gets the dependencies of that one only. Package takeover is in the
// root module.
//
// README.md compares what works in which framework. Package adapttest is the suite
// that fills the table, also for a framework of your own.
package adapt
