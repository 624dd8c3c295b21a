// Package guest is for people who write a storage plugin for Waddle in Go.
//
// A plugin is a WebAssembly module that keeps bytes under keys. To write one,
// implement [Engine], hand it to [Register] from an init function, leave main
// empty, and build with the standard toolchain:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o engine.wasm .
//
// What an engine can do beyond that it says by its methods: [Toucher],
// [Sweeper], [Lister], [Snapshotter], [Restorer]. The exports, the exchange of
// memory with the host and the codes of the interface (abi/SPEC.md) are this
// package's business.
//
// # Calls
//
// The host makes one call at a time, so an engine needs no locks. Every call
// is told the time; an engine should not look at a clock of its own. Keys and
// values that a method is given lie in a buffer that the host overwrites: they
// are valid until the method returns, and an engine that keeps them copies
// them. What a method returns must stay as it is until the next call.
//
// # Errors
//
// An engine answers with the errors of this package, bare or wrapped, or made
// by [Fail], which adds a message for the host's log. An error that wraps none
// of them is an internal error and its text the message. An operation that
// returns an error must have changed nothing. A panic, or memory that has run
// out, ends the instance: the Go runtime writes the reason to standard error,
// which the host logs, and the host starts a new instance.
//
// # Goroutines
//
// The runtime runs only while a call does. A goroutine left behind goes on
// during the next call, at the cost of that call: start none that outlives the
// call it was started in.
//
// # Development
//
// Built with the tag waddle_debug and without -s -w, a module says what [Debug]
// is given, and a stack with names and lines of functions when it panics, to be
// read with waddle test -v and waddle run -v.
//
// # Tests
//
// Everything but the exports compiles for every platform, so that an engine is
// tested by plain go test: package guesttest holds it to the conformance suite,
// NewHarness makes single calls, [NewConfig] makes what Open takes, and Logged
// returns the lines that [Log] was given.
//
// README.md beside this package is a tutorial.
package guest
