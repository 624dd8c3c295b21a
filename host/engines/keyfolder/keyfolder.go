// Package keyfolder opens the bundled engine that keeps each session in a folder
// of its own: a WebAssembly guest, compiled from guest/engines/keyfolder and
// embedded in the program. Its README says what lies where.
package keyfolder

import (
	"context"
	_ "embed"

	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
	"github.com/waddle-sessions/waddle/host/engines/internal/directory"
	"github.com/waddle-sessions/waddle/host/plugin"
)

//go:embed keyfolder.wasm.gz
var packed []byte

// Name is what the engine is called in logs and errors unless Config.Name says
// otherwise.
const Name = "keyfolder"

// Open starts the engine over a directory, which is made, private to the user,
// if there is none, and is for one plugin of one process at a time: another
// gets [plugin.ErrInUse]. cfg.Shards 0 stands for the number that the directory
// was made for, 4 for a new one; any other must be that number.
//
// The engine is trusted: it runs without bounds in time, unless cfg.Deadline is
// set. cfg.Durability says what a crash can take. Errors are those of [plugin.Open],
// [plugin.ErrMount] for a directory that cannot be used, [plugin.ErrShards] for one
// with another number of shards, and [plugin.ErrOpen] for one of another engine or
// of a newer version.
func Open(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
	wasm, err := Module()
	if err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		cfg.Name = Name
	}
	return directory.Open(ctx, wasm, dir, cfg)
}

// Module returns the engine's WebAssembly module.
func Module() ([]byte, error) { return bundle.Unpack(packed) }
