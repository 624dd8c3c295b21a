// Package sessiondir checks, backs up, restores and repairs a directory in which a bundled
// engine keeps sessions. It reads from outside: it locks a directory only to change it, so
// that it is never in a server's way.
package sessiondir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
)

// ErrNotSessions is returned when a directory is not one of sessions. The error says what it is.
var ErrNotSessions = errors.New("not a directory of sessions")

// Names that belong to the host.
const (
	hidden      = ".waddle"
	shardsName  = hidden + ".shards"
	restoreName = hidden + ".restore" // what is being made
	asideName   = hidden + ".format"  // the file format, while a repair puts a shard in its place
	lostName    = hidden + ".lost"    // what a repair has taken away
)

// layoutVersion is that of all forms so far.
const layoutVersion = 1

// Layout is what a directory is.
type Layout struct {
	Dir     string
	Engine  string
	Version int // of the layout
	Shards  int // 0 for engine memory, whose snapshots have none

	// unmarked: the file format is missing or cannot be read, and this is what the rest
	// looks like.
	unmarked bool
}

// Recognise finds out what a directory is by the files in it. It returns ErrNotSessions.
func Recognise(dir string) (Layout, error) {
	l := Layout{Dir: dir, Version: layoutVersion}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return l, err
	}
	text, err := os.ReadFile(filepath.Join(dir, format.Name))
	if errors.Is(err, fs.ErrNotExist) {
		// A repair that was interrupted has put it aside.
		text, err = os.ReadFile(filepath.Join(dir, asideName))
	}
	if err == nil {
		if f, ok := format.Parse(string(text[:min(len(text), format.MaxSize)])); ok {
			return l.stamped(f)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	marked := err == nil
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	for engine, prefix := range prefixes {
		if has(prefix + "0") {
			l.Engine, l.unmarked = engine, true
			for l.Shards = 1; has(prefix + strconv.Itoa(l.Shards)); l.Shards++ {
			}
			if l.Shards&(l.Shards-1) != 0 || l.Shards > abi.MaxShards {
				return l, fmt.Errorf("%s: %w: the file %s is missing or damaged, and there are %d shards of %s: must be a power of two",
					dir, ErrNotSessions, format.Name, l.Shards, engine)
			}
			return l, nil
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), snapshotfile.Name) {
			l.Engine = memory.Name
			return l, nil
		}
	}
	switch {
	case marked:
		return l, fmt.Errorf("%s: %w: its file %s begins %q: must begin \"waddle\", the name of an engine and the version of its form", dir, ErrNotSessions, format.Name, first(text))
	case Vacant(entries):
		return l, fmt.Errorf("%s: %w: it is empty", dir, ErrNotSessions)
	}
	return l, fmt.Errorf("%s: %w: it has neither a file %s, as those of keyfolder and dynfile have, nor a file %s, as those of memory do",
		dir, ErrNotSessions, format.Name, snapshotfile.Name)
}

// prefixes begin the names of the directories of shards.
var prefixes = map[string]string{keyfolder.Name: "sessions-", dynfile.Name: "shard-"}

func (l Layout) stamped(f format.Format) (Layout, error) {
	l.Engine, l.Version, l.Shards = f.Engine, f.Version, f.Shards
	switch {
	case prefixes[f.Engine] == "":
		return l, fmt.Errorf("%s: %w: it belongs to the engine %q: must be keyfolder, dynfile or memory", l.Dir, ErrNotSessions, f.Engine)
	case f.Version != layoutVersion:
		return l, fmt.Errorf("%s: its form has version %d: must be %d; a newer program reads it", l.Dir, f.Version, layoutVersion)
	case f.Shards < 1 || f.Shards > abi.MaxShards || f.Shards&(f.Shards-1) != 0:
		return l, fmt.Errorf("%s: %w: its file %s says %d shards: must be a power of two up to %d", l.Dir, ErrNotSessions, format.Name, f.Shards, abi.MaxShards)
	}
	return l, nil
}

func first(text []byte) string {
	line, _, _ := strings.Cut(string(text), "\n")
	return line[:min(len(line), 64)]
}

// Vacant reports whether the entries of a directory are none of an engine's: it may be used for
// a new store.
func Vacant(entries []fs.DirEntry) bool {
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found"
	})
}

// marks reports what is wrong with the files that say what the directory is.
func (l Layout) marks(v survey.Visitor) {
	if !l.unmarked {
		return
	}
	v.Say(survey.Finding{Severity: survey.Damage, Remedy: survey.Repair, File: format.Name, Offset: -1,
		Text: fmt.Sprintf("is missing or damaged, so the engine refuses the directory; the rest is that of %s with %s", l.Engine, shardCount(l.Shards))})
}

func shardCount(n int) string {
	if n == 1 {
		return "1 shard"
	}
	return strconv.Itoa(n) + " shards"
}
