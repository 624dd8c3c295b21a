package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// openStorage opens the storage of the sessions and describes it for the page.
func openStorage(ctx context.Context, settings engines.Settings) (store.Store, playground.Engine, error) {
	p, err := settings.Open(ctx)
	switch {
	case errors.Is(err, engines.ErrSettings):
		return nil, playground.Engine{}, &usageError{err}
	case err != nil:
		return nil, playground.Engine{}, err
	}
	info := p.Info()
	shards := "1 shard"
	if info.Shards != 1 {
		shards = fmt.Sprintf("%d shards", info.Shards)
	}
	kind, origin := "WebAssembly", "from a file"
	if how := p.Stats().Runtime; how != "compiler" {
		kind += ", interpreted"
	}
	if engines.IsBundled(settings.Storage) {
		origin = "bundled"
	}
	return p, playground.Engine{
		Name: p.Name(), Version: info.Version,
		Kind:  fmt.Sprintf("%s, %s, %s", kind, origin, shards),
		Keeps: keeps(settings),
	}, nil
}

// keeps says where the sessions are, and for how long. Without a directory a plugin
// has only its memory.
func keeps(settings engines.Settings) string {
	switch {
	case engines.IsServer(settings.Storage):
		return "on a server, " + engines.Redacted(settings.Storage)
	case settings.Dir == "":
		return "in memory, until the program ends"
	case settings.Storage == memory.Name:
		return "in memory, saved to SESSION_DIR"
	case engines.IsBundled(settings.Storage):
		return "in files in SESSION_DIR"
	}
	return "as the plugin does, with SESSION_DIR for files"
}

// described returns the settings of a storage in the form of session settings.
func described(settings engines.Settings) (list []session.Setting) {
	for _, s := range settings.Describe() {
		list = append(list, session.Setting(s))
	}
	return list
}

// opener opens a plugin over an empty directory of its own.
type opener func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error)

// openBundled opens an engine by its name. Engine memory gets no directory, since
// it would write snapshots to it.
func openBundled(name string) opener {
	return func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
		if name == memory.Name {
			dir = ""
		}
		return engines.Settings{Storage: name, Dir: dir, Config: cfg}.Open(ctx)
	}
}
