// Package engines opens the storage engine that a program's settings name: one of
// the bundled ones, or a plugin in a file.
//
//	engine, err := engines.OpenFromEnv(ctx, os.Environ())
//	sessions, err := session.New(engine, session.Settings{})
//	…
//	err = store.Close(ctx, engine)
//
// All bundled engines are part of a program that imports it. One that needs a
// certain engine imports the package of that alone, beneath this one.
package engines

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// ErrSettings is returned when a setting is wrong by itself or beside another
// one. The error says which, what it must be, and by which name it was set.
var ErrSettings = errors.New("engines: invalid settings")

// Settings say which engine keeps the sessions, and where. The zero value is the
// bundled engine memory without a directory.
type Settings struct {
	// Storage is memory, keyfolder, dynfile, or the path of a .wasm file. A
	// plugin from a file is not trusted unless Config.Trusted says so: each of its
	// calls ends after Config.Deadline, [plugin.DefaultDeadline] if that is 0.
	// SESSION_STORAGE, default memory.
	Storage string

	// Dir is the directory that sessions are kept in, made if there is none:
	// by keyfolder and dynfile, which need one; by memory, for its snapshots;
	// by a plugin from a file, which finds it as its directory. SESSION_DIR.
	Dir string

	// MaxBytes and MaxFiles are what a plugin from a file may have in Dir, as in
	// [plugin.Mount].
	MaxBytes, MaxFiles int64

	// Config is how the engine is run. Of it, SESSION_DURABILITY sets Durability,
	// to commit, interval or close, and SESSION_LOCK_WAIT sets LockWait. Snapshots
	// and the mount of Dir are set here, by Dir.
	Config plugin.Config

	given map[string]string // what was set in an environment, by variable
}

// OpenFromEnv opens the engine that an environment names, as [os.Environ] gives
// it: see [FromEnv] and [Settings.Open]. It is to be closed, by [store.Close],
// when the server has ended.
func OpenFromEnv(ctx context.Context, environ []string) (store.Store, error) {
	s, err := FromEnv(environ)
	if err != nil {
		return nil, err
	}
	p, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// bundled are the engines that have a name.
var bundled = map[string]func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error){
	memory.Name: func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
		if dir != "" {
			cfg.Snapshots = dir
		}
		return memory.Open(ctx, cfg)
	},
	keyfolder.Name: keyfolder.Open,
	dynfile.Name:   dynfile.Open,
}

// allowed says what a storage may be.
const allowed = "memory, keyfolder, dynfile or the path of a .wasm file"

// IsBundled reports whether a storage is a bundled engine.
func IsBundled(storage string) bool { return bundled[storage] != nil }

// Open opens the engine. Errors are ErrSettings, and those of [plugin.Open] and
// of the engine's own Open.
func (s Settings) Open(ctx context.Context) (*plugin.Plugin, error) {
	if s.Storage == "" {
		s.Storage = memory.Name
	}
	if open := bundled[s.Storage]; open != nil {
		if s.Dir == "" && s.Storage != memory.Name {
			return nil, fmt.Errorf("%w: %s is not set: must be a directory, since the storage %s keeps files", ErrSettings, s.name("Dir"), s.Storage)
		}
		return open(ctx, s.Dir, s.Config)
	}
	if err := s.checkFile(); err != nil {
		return nil, err
	}
	return s.openFile(ctx)
}

func (s *Settings) openFile(ctx context.Context) (*plugin.Plugin, error) {
	cfg := s.Config
	if s.Dir != "" {
		if err := plugin.MakeDir(s.Dir); err != nil {
			return nil, fmt.Errorf("the directory for the sessions, %s: %w", s.name("Dir"), err)
		}
		cfg.Mounts = append(cfg.Mounts[:len(cfg.Mounts):len(cfg.Mounts)], plugin.Mount{Dir: s.Dir, MaxBytes: s.MaxBytes, MaxFiles: s.MaxFiles})
	}
	return plugin.OpenFile(ctx, s.Storage, cfg)
}

func (s *Settings) checkFile() error {
	info, err := os.Stat(s.Storage)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s is %q: must be %s; there is no such file", ErrSettings, s.name("Storage"), s.Storage, allowed)
	case err != nil:
		return fmt.Errorf("%s is %q: must be a file that can be read: %w", s.name("Storage"), s.Storage, err)
	case info.IsDir():
		return fmt.Errorf("%w: %s is %q, a directory: must be %s", ErrSettings, s.name("Storage"), s.Storage, allowed)
	}
	return nil
}
