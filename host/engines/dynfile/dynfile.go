// Package dynfile opens the bundled engine that packs sessions into files that only
// grow at their end: a WebAssembly guest, compiled from guest/engines/dynfile and
// embedded in the program. Its README describes the files.
package dynfile

import (
	"context"
	_ "embed"

	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
	"github.com/waddle-sessions/waddle/host/engines/internal/directory"
	"github.com/waddle-sessions/waddle/host/plugin"
)

//go:embed dynfile.wasm.gz
var packed []byte

// Name is the engine's name in logs and errors, unless Config.Name is set.
const Name = "dynfile"

// Open starts the engine over a directory, which it makes, private to the user, if
// there is none. Only one plugin of one process at a time may use the directory:
// another gets [plugin.ErrInUse]. cfg.Shards 0 means the number that the directory
// was made for, 4 for a new one; any other value must be that number.
//
// The index takes about 52 bytes of cfg.MemoryLimit, 512 MiB by default, for each
// session, and every shard takes about 20 MiB, and up to 16 MiB for sessions that were
// lately read or written (the engine's setting cache_bytes, in cfg.GuestConfig).
//
// The engine is trusted: it computes unmetered and without bounds. If cfg has a bound,
// such as Deadline, Fuel or FuelRate, it runs metered instead, with the defaults of
// the other bounds; its files have no quota either way. cfg.Durability decides what a crash can lose. Errors are those of [plugin.Open],
// [plugin.ErrDirectory] for an unusable directory, [plugin.ErrShards] for one with
// another number of shards, and [plugin.ErrOpen] for one of another engine or of a
// newer version.
func Open(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
	module, err := bundle.Module(packed)
	if err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		cfg.Name = Name
	}
	return directory.Open(ctx, module, dir, cfg)
}

// Module returns the engine's WebAssembly module.
func Module() ([]byte, error) { return bundle.Unpack(packed) }
