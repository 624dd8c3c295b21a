// Package guesttest tests an engine written with package guest against the
// contract of a storage plugin, natively. No module is built and no sandbox
// runs, so it takes seconds under plain go test, and the debugger, the race
// detector and coverage work.
//
//	func TestEngine(t *testing.T) {
//		guesttest.Run(t, func() guest.Engine { return new(engine) }, info)
//	}
//
// The checks are those of package storetest, which waddle test also runs on the
// finished module. What only a module has is left to that: its exports and
// imports, the limit of its memory, and what happens after a trap. A panic of
// the engine is a failed check here, shown with its stack.
//
// # How an engine is run
//
// An engine is run as by a host. A store has a number of shards. Each is an
// engine of its own, opened with the settings and the host's three (see
// [guest.Config]), and a key always goes to the same shard. For an engine that
// is not registered with [guest.Info].CAS, this package compares conditions,
// under the lock of the shard. For an engine that is not a [guest.Toucher], it
// reads and writes records. Keys and values lie in an exchange buffer that the
// next call overwrites, so an engine that keeps them without copying is found
// out. There is no deadline. What a [guest.Batcher] answers to many operations at once is
// compared with what it answers to each alone.
//
// An engine whose records lie on a server connects natively as well (see package
// network), to a server that the test starts. Options.Namespace keeps the stores of the
// suite apart. The shards of a store are then several instances over the same records.
//
// All engines of a test program are called one at a time. Shards must still
// share nothing, and in a module they cannot: state belongs in the engine and
// not in package variables.
package guesttest
