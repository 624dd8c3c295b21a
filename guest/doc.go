// Package guest is for writing storage plugins for Waddle in Go.
//
// A plugin is a WebAssembly module that keeps bytes under keys. To write one,
// implement [Engine], hand it to [Register] from an init function, leave main
// empty, and build with the standard toolchain:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o engine.wasm .
//
// An engine may do more by having optional methods: [Toucher], [Sweeper],
// [Flusher], [Lister], [Snapshotter], [Restorer], [Counter], [Copier], [Batcher],
// [Idler]. This package takes care of the exports, the exchange of memory with the
// host and the codes of the interface (abi/SPEC.md).
//
// # Calls
//
// The host makes one call at a time, so an engine needs no locks. Every call
// carries the time; an engine should not read a clock of its own. The keys and
// values that a method receives lie in a buffer that the host overwrites. They
// are valid until the method returns, and an engine that keeps them must copy
// them. What a method returns must stay as it is until the next call.
//
// # Errors
//
// An engine answers with the errors of this package, bare, wrapped, or made by
// [Fail], which adds a message for the host's log. An error that wraps none of
// them is an internal error, and its text is the message. An operation that
// returns an error must have changed nothing. A panic, or running out of
// memory, ends the instance: the Go runtime writes the reason to standard
// error, the host logs it and starts a new instance.
//
// # Goroutines
//
// Goroutines run only while a call runs. A goroutine left behind continues
// during the next call and slows it down: start none that outlives the call it
// was started in. The exception is an engine with connections, by package network: its
// goroutines also run for a moment now and then while the host has no call to make.
//
// # Servers
//
// An engine that was granted an address reaches a server by package network.
//
// # Copies
//
// A host may copy an instance before it is opened. Whatever must not be the same in
// all copies, such as the key of a hash, is drawn in Open or later, with [Random]: what
// init functions draw, and what math/rand and hash/maphash give, is the same in all.
//
// # Development
//
// A module built with the tag waddle_debug and without -s -w logs what [Debug]
// is given and, when it panics, a stack with function names and lines. waddle
// test -v and waddle run -v show both.
//
// # Tests
//
// Everything but the exports compiles on every platform, so plain go test can
// test an engine. Package guesttest runs the conformance suite on it,
// NewHarness makes single calls, [NewConfig] makes Open's argument, and Logged
// returns the lines that [Log] was given.
//
// README.md beside this package is a tutorial.
package guest
