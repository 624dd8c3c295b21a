// Package guesttest holds an engine that is written with package guest to the
// contract of a storage plugin, natively: no module is built and no sandbox
// runs, so that it takes seconds under plain go test, with a debugger, the race
// detector and coverage at hand.
//
//	func TestEngine(t *testing.T) {
//		guesttest.Run(t, func() guest.Engine { return new(engine) }, info)
//	}
//
// The checks are those of package storetest, which are also what waddle test
// holds the finished module to. What only a module has is left to that: its
// exports and imports, the bound of its memory, and what happens after a trap.
// A panic of the engine is a failed check here, with its stack.
//
// # How an engine is run
//
// As by a host: a store has a number of shards, each an engine of its own that
// is opened with the settings and the host's three (see [guest.Config]), and a
// key always goes to the same shard. For an engine that is not registered with
// [guest.Info].CAS, conditions are compared here, under the lock of the shard;
// for one that is no [guest.Toucher], records are read and written. Keys and
// values lie in an exchange buffer that the next call overwrites, so that an
// engine that keeps them without copying is found out. There is no deadline.
//
// All engines of a test program are called one at a time. Shards must share
// nothing all the same, and in a module they cannot: state belongs into the
// engine and not into package variables.
package guesttest
