// Package memory opens the bundled engine that keeps sessions in memory: a
// WebAssembly guest, compiled from guest/engines/memory and embedded in the
// program. At its bounds it evicts unused sessions. All sessions are lost when the
// program ends.
package memory

import (
	"context"
	_ "embed"

	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
	"github.com/waddle-sessions/waddle/host/plugin"
)

//go:embed memory.wasm.gz
var packed []byte

// Name is the engine's name in logs and errors, unless Config.Name is set.
const Name = "memory"

// Open starts the engine. Its bounds are cfg.MemoryLimit and these
// cfg.GuestConfig, each for all shards together:
//
//   - max_entries: the number of records; by default only memory bounds it
//   - max_bytes: the bytes that they may take; by default what fits into memory
//
// The engine is trusted: it computes unmetered and without bounds. If cfg has a bound,
// such as Deadline, Fuel or FuelRate, it runs metered instead, with the defaults of
// the other bounds. Errors are those of [plugin.Open].
func Open(ctx context.Context, cfg plugin.Config) (*plugin.Plugin, error) {
	module, err := bundle.Module(packed)
	if err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		cfg.Name = Name
	}
	return plugin.OpenEmbedded(ctx, module, bundle.Trust(cfg))
}

// Module returns the engine's WebAssembly module.
func Module() ([]byte, error) { return bundle.Unpack(packed) }
