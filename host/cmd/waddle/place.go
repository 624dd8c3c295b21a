package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// placeForms says which forms a place of sessions has.
const placeForms = "ENGINE:DIR, with keyfolder, dynfile, memory or the path of a .wasm file as ENGINE, or the URL of a server, such as redis://host"

// snapshotFile is what lies in a directory of the engine memory.
const snapshotFile = "sessions.snapshot"

// parsePlace reads a place where sessions are kept. A directory alone is of the engine
// whose files lie in it.
func parsePlace(text string) (engines.Settings, error) {
	if strings.Contains(text, "://") {
		if !engines.IsServer(text) {
			return engines.Settings{}, usagef("%q is not a place of sessions: must be %s", engines.Redacted(text), placeForms)
		}
		return engines.Settings{Storage: text}, nil
	}
	for _, engine := range []string{memory.Name, keyfolder.Name, dynfile.Name} {
		if dir, ok := strings.CutPrefix(text, engine+":"); ok {
			return placeOf(engine, dir, text)
		}
	}
	if file, dir, ok := strings.Cut(text, ".wasm:"); ok {
		return placeOf(file+".wasm", dir, text)
	}
	if text == "" {
		return engines.Settings{}, usagef("a place of sessions is empty: must be %s", placeForms)
	}
	engine, err := engineOf(text)
	return engines.Settings{Storage: engine, Dir: text}, err
}

func placeOf(engine, dir, text string) (engines.Settings, error) {
	if dir == "" {
		return engines.Settings{}, usagef("%q names no directory: must be %s", text, placeForms)
	}
	return engines.Settings{Storage: engine, Dir: dir}, nil
}

// engineOf returns the bundled engine whose files lie in a directory.
func engineOf(dir string) (string, error) {
	if err := checkDir(dir); err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, format.Name))
	if err == nil {
		if f, ok := format.Parse(string(text[:min(len(text), format.MaxSize)])); ok && (f.Engine == keyfolder.Name || f.Engine == dynfile.Name) {
			return f.Engine, nil
		}
		return "", usagef("%s has a file %q that names no engine of this program: must begin \"waddle keyfolder\" or \"waddle dynfile\"; name the engine with the directory, as in keyfolder:%[1]s", dir, format.Name)
	}
	if _, err := os.Stat(filepath.Join(dir, snapshotFile)); err == nil {
		return memory.Name, nil
	}
	return "", usagef("%s has no file that names its engine: must have the file %q of keyfolder and dynfile or %q of memory; name the engine with the directory, as in keyfolder:%[1]s", dir, format.Name, snapshotFile)
}

// checkDir says what is wrong with a directory that must be there.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("there is no directory %s: must be one with sessions", dir)
	case err != nil:
		return fmt.Errorf("the directory of the sessions: %w", err)
	case !info.IsDir():
		return usagef("%s is no directory: must be one with sessions", dir)
	}
	return nil
}

// openPlace opens a storage for a tool: it removes no expired records, and logs only
// warnings.
func openPlace(ctx context.Context, at engines.Settings, verbose bool, env *environment) (*plugin.Plugin, error) {
	at.Config.SweepInterval = -1
	at.Config.Logger = guestLogger(env, verbose, slog.LevelWarn)
	at.Config.Name = placeName(at)
	opened := afterAWhile(env.stderr, "waddle: opening "+placeName(at)+"; the first time compiles the engine, later ones use a cache")
	p, err := at.Open(ctx)
	opened()
	switch {
	case errors.Is(err, plugin.ErrInUse):
		return nil, fmt.Errorf("%w; a program that runs can be asked instead: 'waddle serve' at its --admin-addr, with --server unix:PATH or https://HOST:PORT, "+
			"and 'waddle host' with --server http://HOST:PORT --tenant NAME", err)
	case errors.Is(err, engines.ErrSettings):
		return nil, &usageError{err}
	}
	return p, err
}

// placeName returns a place as people may see it, without passwords.
func placeName(at engines.Settings) string {
	if at.Dir == "" {
		return engines.Redacted(at.Storage)
	}
	return at.Storage + ":" + at.Dir
}

// completePlace completes a place.
func completePlace(_ *cobra.Command, _ []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.ContainsAny(start, "/:") {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	found := beginning([]cobra.Completion{
		cobra.CompletionWithDesc(keyfolder.Name+":", "a directory of this engine"),
		cobra.CompletionWithDesc(dynfile.Name+":", "a directory of this engine"),
		cobra.CompletionWithDesc(memory.Name+":", "a directory with snapshots"),
		cobra.CompletionWithDesc("redis://", "a Redis or Valkey server"),
		cobra.CompletionWithDesc("postgres://", "a PostgreSQL server"),
	}, start)
	if len(found) == 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder
}
