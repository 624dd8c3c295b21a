// Package plugintest is the conformance suite for a WebAssembly module: all of
// package storetest, and what only a module has.
package plugintest

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// Options are how a module is held to the suite. The zero value is ready to
// use.
type Options struct {
	// Options of the suite. MaxKey and MaxValue are by default what the
	// module describes. Durable is set for a module with a mount.
	storetest.Options

	// Settings are passed to the guest.
	Settings map[string]string

	// Mount is a directory, made if there is none, in which directories for
	// the guest are made, and removed; each is mounted under
	// [plugin.DefaultMountPath] or the path of the first of Config.Mounts.
	// "": a temporary one, if the guest does not open without a mount or
	// Config.Mounts asks for one.
	Mount string

	// Config is how the guest is run. What checks decide (Shards,
	// MemoryLimit, Mounts, the clock, the intervals) they set themselves.
	Config plugin.Config
}

// Run holds the module in a file to the suite, in subtests with the names of
// the checks. At most one Options may be given.
func Run(t *testing.T, file string, options ...Options) {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if o.Target == "" {
		o.Target = filepath.Base(file)
	}
	storetest.Run(t, opener(wasm, o), o.Options)
}

// Check holds a module to the suite.
func Check(ctx context.Context, wasm []byte, options Options) *storetest.Report {
	return storetest.Check(ctx, opener(wasm, options), options.Options)
}

func opener(wasm []byte, o Options) storetest.Open {
	return func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
		config := o.Config
		config.Settings = maps.Clone(o.Settings)
		config.Shards, config.MemoryLimit, config.SweepInterval = setup.Shards, setup.MemoryLimit, -1
		if o.Mount != "" {
			config.Mounts = []plugin.Mount{{Dir: setup.Dir}}
		}
		return plugin.Open(ctx, wasm, config)
	}
}
