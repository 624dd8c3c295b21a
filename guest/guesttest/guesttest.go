//go:build !wasip1

package guesttest

import (
	"context"
	"maps"
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/nativetest"
)

// Options say how an engine is tested. The zero value is ready to use.
type Options struct {
	// Options are those of the suite. Target, MaxKey and MaxValue come from
	// guest.Info unless they are set here; it only makes sense to set lower
	// limits.
	storetest.Options

	// Settings are what the engine is opened with, in addition to shard, shards
	// and memory_limit.
	Settings map[string]string

	// Namespace is the setting by which an engine whose records lie elsewhere keeps them
	// apart from others, for example "prefix". The suite adds [storetest.Setup.Namespace]
	// to its value. Stores with one namespace then have the same records, and the checks
	// of several hosts run, too: Shared is set.
	Namespace string
}

// Run runs the conformance suite on the engines that engine makes, in subtests
// with the names of the checks. engine is called once for each shard of each store
// that a check opens, and again if it broke the contract. At most one Options may
// be given.
//
// The engine's log is shown with -v or if a check fails, at most the first 200
// lines.
func Run(t *testing.T, engine func() guest.Engine, info guest.Info, options ...Options) {
	t.Helper()
	run(t, func(string) guest.Engine { return engine() }, info, first(options))
}

// RunFiles is [Run] for an engine that keeps its records in files. engine
// receives the directory that all shards of a store would have mounted in a
// module. The checks of a durable store run, too: what was saved must be there
// when the store is opened again.
//
// A module's files are closed when its instance ends. If an engine has a method
// Close, with or without an error, it is called when the engine's store is
// closed. It must not write what Save should have written.
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
	options.More = append(options.More[:len(options.More):len(options.More)], batches(engine, info, options.settings))
	options.Shared = options.Shared || options.Namespace != ""
	log := &testLog{write: func(line string) { t.Log(line) }}
	storetest.Run(t, func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		return nativetest.Open(ctx, nativetest.Config{Engine: engine, Info: info, Settings: options.settings(setup.Namespace), Setup: setup, Log: log.lines})
	}, options.Options)
}

// settings returns those of a store with a namespace.
func (o *Options) settings(namespace string) map[string]string {
	if o.Namespace == "" {
		return o.Settings
	}
	settings := maps.Clone(o.Settings)
	if settings == nil {
		settings = make(map[string]string)
	}
	settings[o.Namespace] += namespace
	return settings
}

// Open opens a store of engines, one for each shard, for an author's own tests:
// to run single checks, to drive the store by a session manager, or to look into
// the engines while they work. engine is given setup.Dir and is called in the
// order of the shards. The engine's log is left to [guest.Logged].
//
// An error is one of package store's under [errors.Is] and carries the message
// that the host would get. Many goroutines may use the store at once.
func Open(ctx context.Context, engine func(dir string) guest.Engine, info guest.Info, settings map[string]string, setup storetest.Setup) (store.Store, error) {
	return nativetest.Open(ctx, nativetest.Config{Engine: engine, Info: info, Settings: settings, Setup: setup})
}
