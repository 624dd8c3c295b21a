package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// guestDeadline bounds each call of a plugin that came as a file, whoever wrote
// it: one that never returns must not take the playground with it.
const guestDeadline = 2 * time.Second

// bundled are the engines that have a name.
var bundled = map[string]func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error){
	memory.Name: func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
		cfg.Snapshots = dir
		return memory.Open(ctx, cfg)
	},
	keyfolder.Name: keyfolder.Open,
	dynfile.Name:   dynfile.Open,
}

const storageNames = "memory, keyfolder, dynfile or the path of a .wasm file"

// openStorage opens what SESSION_STORAGE names, with SESSION_DIR,
// SESSION_DURABILITY and SESSION_LOCK_WAIT. The quota is for a plugin that is not
// one of ours.
func openStorage(ctx context.Context, settings session.Settings, q quota, log *slog.Logger) (store.Store, playground.Engine, error) {
	name, dir := settings.Storage, settings.Dir
	cfg := plugin.Config{Logger: log, LockWait: settings.LockWait}
	if settings.Durability != "" {
		var err error
		if cfg.Durability, err = plugin.ParseDurability(settings.Durability); err != nil {
			return nil, playground.Engine{}, &usageError{err}
		}
	}
	open, origin := bundled[name], "bundled"
	if open == nil {
		if err := checkFile(name); err != nil {
			return nil, playground.Engine{}, err
		}
		open, origin = openFile(name, q), "from a file"
	} else if dir == "" && name != memory.Name {
		return nil, playground.Engine{}, usagef("the storage %s keeps files: set SESSION_DIR to the directory for them", name)
	}
	p, err := open(ctx, dir, cfg)
	if err != nil {
		return nil, playground.Engine{}, err
	}
	engine := describe(p, origin)
	engine.Keeps = keeps(settings)
	return p, engine, nil
}

// keeps says where the sessions are, and for how long. Without a directory a
// plugin has its memory and nothing else.
func keeps(settings session.Settings) string {
	switch {
	case settings.Dir == "":
		return "in memory, until the program ends"
	case settings.Storage == memory.Name:
		return "in memory, saved to SESSION_DIR"
	case bundled[settings.Storage] == nil:
		return "as the plugin does, with SESSION_DIR for files"
	}
	return "in files in SESSION_DIR"
}

// openFile opens a plugin that is not one of ours. A directory, if there is one,
// is granted to it with the quota.
func openFile(name string, q quota) func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
	return func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
		cfg.Deadline = guestDeadline
		if dir != "" {
			if err := plugin.MakeDir(dir); err != nil {
				return nil, fmt.Errorf("the directory for the sessions: %w", err)
			}
			cfg.Mounts = []plugin.Mount{q.mount(dir)}
		}
		return plugin.OpenFile(ctx, name, cfg)
	}
}

func checkFile(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("the storage is %q, and must be %s; there is no such file", name, storageNames)
	case err != nil:
		return fmt.Errorf("the storage %q cannot be read: %w", name, err)
	case info.IsDir():
		return usagef("the storage is %q, which is a directory, and must be %s", name, storageNames)
	}
	return nil
}

// describe says on the page what keeps the sessions.
func describe(p *plugin.Plugin, origin string) playground.Engine {
	info := p.Info()
	shards := "1 shard"
	if info.Shards != 1 {
		shards = fmt.Sprintf("%d shards", info.Shards)
	}
	kind := "WebAssembly"
	if how := p.Stats().Engine; how != "compiler" {
		kind += ", interpreted"
	}
	return playground.Engine{Name: info.Name, Version: info.Version, Kind: fmt.Sprintf("%s, %s, %s", kind, origin, shards)}
}
