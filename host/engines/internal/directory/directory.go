// Package directory opens the bundled engines that keep their records in files.
package directory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/host/engines/internal/bundle"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Open opens an engine over a directory, which it makes if there is none. These
// engines are trusted, as [bundle.Trust] says.
func Open(ctx context.Context, module plugin.Embedded, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
	switch {
	case dir == "":
		return nil, refuse(cfg, nil, "no directory was given for the sessions (SESSION_DIR)")
	case len(cfg.Mounts) > 0:
		return nil, refuse(cfg, nil, "Config.Mounts is set: must be empty, since this engine mounts its directory itself")
	case cfg.Snapshots != "":
		return nil, refuse(cfg, nil, "Config.Snapshots is set: must be empty, since this engine keeps its sessions in files")
	}
	if err := plugin.MakeDir(dir); err != nil {
		return nil, refuse(cfg, err, err.Error())
	}
	if cfg.Shards == 0 {
		shards, err := shardsOf(dir)
		if err != nil {
			return nil, refuse(cfg, err, err.Error())
		}
		cfg.Shards = shards
	}
	// It is trusted with the directory even if it runs metered.
	cfg.Mounts = []plugin.Mount{{Dir: dir, MaxBytes: -1, MaxFiles: -1}}
	return plugin.OpenEmbedded(ctx, module, bundle.Trust(cfg))
}

// shardsOf reads the number of shards that a directory was made for, 0 if it does
// not say. The host keeps that number for every guest. These engines also have it
// in a file of their own, because their layout depends on it. That file survives a
// copy that leaves out the host's, whose name begins with a dot. The engine reports
// other faults of the directory better.
func shardsOf(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, format.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	found, _ := format.Parse(string(text[:min(len(text), format.MaxSize)]))
	if n := found.Shards; n > 0 && n <= abi.MaxShards && n&(n-1) == 0 {
		return n, nil
	}
	return 0, nil
}

func refuse(cfg plugin.Config, err error, detail string) error {
	if err != nil {
		detail = fmt.Sprintf("the directory for the sessions: %s", detail)
	}
	return &plugin.LoadError{Plugin: cfg.Name, Kind: plugin.ErrDirectory, Detail: detail, Err: err}
}
