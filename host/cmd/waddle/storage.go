package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/playground"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// guestDeadline bounds each call of a plugin that came as a file, whoever wrote
// it: one that never returns must not take the playground with it.
const guestDeadline = 2 * time.Second

// openStorage opens what SESSION_STORAGE names.
func openStorage(ctx context.Context, name string, log *slog.Logger) (store.Store, playground.Engine, error) {
	if name == memory.Name {
		p, err := memory.Open(ctx, plugin.Config{Logger: log})
		if err != nil {
			return nil, playground.Engine{}, err
		}
		return p, describe(p, "bundled"), nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, playground.Engine{}, usagef("the storage is %q, and must be %q or the path of a .wasm file; there is no such file", name, memory.Name)
	case err != nil:
		return nil, playground.Engine{}, fmt.Errorf("the storage %q cannot be read: %w", name, err)
	case info.IsDir():
		return nil, playground.Engine{}, usagef("the storage is %q, which is a directory, and must be %q or the path of a .wasm file", name, memory.Name)
	}
	p, err := plugin.OpenFile(ctx, name, plugin.Config{Logger: log, Deadline: guestDeadline})
	if err != nil {
		return nil, playground.Engine{}, err
	}
	return p, describe(p, "from a file"), nil
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
