// Package engines opens the storage engine that a program's settings name: a
// bundled one, over a directory or a server, or a plugin in a file.
//
//	engine, err := engines.OpenFromEnv(ctx, os.Environ())
//	sessions, err := session.New(engine, session.Settings{})
//	…
//	err = store.Close(ctx, engine)
//
// A program that imports this package contains all bundled engines. A program that
// needs only one imports that engine's package, beneath this one.
package engines

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/engines/postgres"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// ErrSettings is returned when a setting is wrong by itself or in combination with
// another. The error names the setting as it was set and says what it must be.
var ErrSettings = errors.New("engines: invalid settings")

// Settings choose the engine that keeps the sessions, and its directory. The zero
// value is the bundled engine memory without a directory.
type Settings struct {
	// Storage is memory, keyfolder, dynfile, the URL of a server, such as
	// redis://host:6379, or the path of a .wasm file. A
	// plugin from a file is not trusted unless Config.Trusted says so: it runs
	// metered, and a call ends at Config.Fuel or Config.Deadline, or their defaults.
	// A bundled engine is trusted unless Config has such a bound.
	// SESSION_STORAGE, default memory.
	Storage string

	// Dir is the directory for the sessions. It is made if there is none. Engines
	// keyfolder and dynfile need it; memory keeps its snapshots there; a plugin
	// from a file gets it as its directory. A server needs none, and must not have one.
	// SESSION_DIR.
	Dir string

	// MaxBytes and MaxFiles limit what a plugin from a file may have in Dir, as in
	// [plugin.Mount].
	MaxBytes, MaxFiles int64

	// Config configures the engine. SESSION_DURABILITY sets its Durability, to
	// commit, interval or close, and SESSION_LOCK_WAIT its LockWait. Dir sets its
	// Snapshots and the mount of Dir.
	Config plugin.Config

	given map[string]string // values that an environment set, by variable
}

// OpenFromEnv opens the engine that an environment names, in the form of
// [os.Environ]: see [FromEnv] and [Settings.Open]. Close it by [store.Close] when
// the server has ended.
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

// servers are the bundled engines that keep sessions on a server, which is named by a
// URL.
var servers = []server{
	{redis.Name, redis.Schemes(), redis.Open, redis.Module, redis.Reach, redis.Redacted, redis.ErrURL},
	{postgres.Name, postgres.Schemes(), postgres.Open, postgres.Module, postgres.Reach, postgres.Redacted, postgres.ErrURL},
}

type server struct {
	name     string
	schemes  []string
	open     func(ctx context.Context, url string, cfg plugin.Config) (*plugin.Plugin, error)
	module   func() ([]byte, error)
	reach    func(url string) ([]string, error)
	redacted func(url string) string // without passwords
	errURL   error                   // of open, for a URL that is wrong
}

// serverOf returns the engine for a URL, or nil.
func serverOf(storage string) *server {
	scheme, _, ok := strings.Cut(storage, "://")
	for i := range servers {
		if ok && slices.Contains(servers[i].schemes, scheme) {
			return &servers[i]
		}
	}
	return nil
}

// allowed lists what a storage may be.
const allowed = "memory, keyfolder, dynfile, the URL of a server such as redis://host:6379, or the path of a .wasm file"

// IsBundled reports whether a storage is a bundled engine, by its name or by the URL of its
// server.
func IsBundled(storage string) bool { return bundled[storage] != nil || IsServer(storage) }

// IsServer reports whether a storage is the URL of a server that a bundled engine uses.
func IsServer(storage string) bool { return serverOf(storage) != nil }

// Server describes the storage that a URL names: the engine's module, and what it may
// reach, as in [plugin.Network]. It connects to nothing. It returns ErrSettings for what is no
// such URL.
func Server(storage string) (wasm []byte, reach []string, err error) {
	on := serverOf(storage)
	if on == nil {
		return nil, nil, fmt.Errorf("%w: %q is not the URL of a server", ErrSettings, Redacted(storage))
	}
	if reach, err = on.reach(storage); err != nil {
		return nil, nil, fmt.Errorf("%w: %q: %w", ErrSettings, Redacted(storage), err)
	}
	wasm, err = on.module()
	return wasm, reach, err
}

// Redacted returns a storage as it may be shown to people: a URL without its passwords.
func Redacted(storage string) string {
	if s := serverOf(storage); s != nil {
		return s.redacted(storage)
	}
	if scheme, _, isURL := strings.Cut(storage, "://"); isURL {
		return scheme + "://…"
	}
	return storage
}

// Open opens the engine. It returns ErrSettings and the errors of [plugin.Open] and
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
	if strings.Contains(s.Storage, "://") {
		return s.openServer(ctx)
	}
	if err := s.checkFile(); err != nil {
		return nil, err
	}
	return s.openFile(ctx)
}

func (s *Settings) openServer(ctx context.Context) (*plugin.Plugin, error) {
	on := serverOf(s.Storage)
	switch {
	case on == nil:
		var known []string
		for _, server := range servers {
			known = append(known, server.schemes...)
		}
		return nil, fmt.Errorf("%w: %s is %q: must begin with one of %s, or be %s", ErrSettings, s.name("Storage"), Redacted(s.Storage),
			strings.Join(known, ", "), allowed)
	case s.Dir != "":
		return nil, fmt.Errorf("%w: %s is %q, and the storage is a server, which keeps the sessions: leave the directory out", ErrSettings, s.name("Dir"), s.Dir)
	}
	p, err := on.open(ctx, s.Storage, s.Config)
	if errors.Is(err, on.errURL) {
		return nil, fmt.Errorf("%w: %s is %q: %w", ErrSettings, s.name("Storage"), Redacted(s.Storage), err)
	}
	return p, err
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
	for i := range servers {
		if on := &servers[i]; on.name == s.Storage {
			return fmt.Errorf("%w: %s is %q: must be the URL of a server, such as %s://host", ErrSettings, s.name("Storage"), s.Storage, on.schemes[0])
		}
	}
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
