//go:build !wasip1

package guesttest

import (
	"context"
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/nativetest"
)

// Options are how an engine is held to the contract. The zero value is ready to
// use.
type Options struct {
	// Options are those of the suite. Target, MaxKey and MaxValue are what
	// guest.Info says unless they are set here, which only makes sense for less.
	storetest.Options

	// Settings are what the engine is opened with, beside shard, shards and
	// memory_limit.
	Settings map[string]string
}

// Run holds the engines that engine makes to the contract, in subtests with the
// names of the checks. engine is called once for each shard of each store that a
// check opens, and again if it broke the contract. At most one Options may be given.
//
// What the engine logs is shown with -v or if a check fails, the first 200
// lines of it.
func Run(t *testing.T, engine func() guest.Engine, info guest.Info, options ...Options) {
	t.Helper()
	run(t, func(string) guest.Engine { return engine() }, info, first(options))
}

// RunFiles is [Run] for an engine that keeps its records in files. engine is
// given the directory that is mounted for all shards of a store in a module.
// The checks of a durable store are run, too: what was saved is there when it
// is opened again.
//
// A module's files are closed when its instance ends. An engine that has a method
// Close, with or without an error, is closed here when its store is; it must
// not write there what Save should have written.
func RunFiles(t *testing.T, engine func(dir string) guest.Engine, info guest.Info, options ...Options) {
	t.Helper()
	o := first(options)
	o.Durable = true
	run(t, engine, info, o)
}

func first(options []Options) Options {
	if len(options) == 0 {
		return Options{}
	}
	return options[0]
}

func run(t *testing.T, engine func(dir string) guest.Engine, info guest.Info, options Options) {
	t.Helper()
	if options.Target == "" {
		options.Target = info.Name
	}
	if options.MaxKey == 0 {
		options.MaxKey = info.MaxKey
	}
	if options.MaxValue == 0 {
		options.MaxValue = info.MaxValue
	}
	log := &testLog{write: func(line string) { t.Log(line) }}
	storetest.Run(t, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		return nativetest.Open(ctx, nativetest.Config{Engine: engine, Info: info, Settings: options.Settings, Setup: setup, Log: log.lines})
	}, options.Options)
}

// Open opens a store of engines, one for each shard, for tests of an author's
// own: to hold it to single checks, to drive it by a session manager, or to look
// into the engines while they work. engine is given setup.Dir, and called in the
// order of the shards. What the engine logs is left to [guest.Logged].
//
// An error is one of package store's under [errors.Is] and carries the message
// that the host would get. The store may be used by many goroutines at once.
func Open(ctx context.Context, engine func(dir string) guest.Engine, info guest.Info, settings map[string]string, setup storetest.Setup) (store.Store, error) {
	return nativetest.Open(ctx, nativetest.Config{Engine: engine, Info: info, Settings: settings, Setup: setup})
}
