package sessiondir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/archive"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// ErrNotEmpty is returned when the directory to restore to is not empty.
var ErrNotEmpty = errors.New("the directory is not empty")

// Restored says what a restore did.
type Restored struct {
	Manifest archive.Manifest
	End      archive.End
	Records  int // that are in the directory
	Expired  int // that have expired since the backup
}

// Restore makes a directory from a backup: one that does not exist or is empty. The engine
// writes the sessions below it; they are compared with the backup; then they take their place,
// and last of all the file that makes it a directory of sessions. If the process is
// killed before, the directory has no sessions, or is one that the engine refuses, and
// another Restore begins anew.
func Restore(ctx context.Context, from io.Reader, dir string, o Options) (done Restored, err error) {
	r, err := archive.NewReader(from)
	if err != nil {
		return done, err
	}
	done.Manifest = r.Manifest
	l := Layout{Dir: dir, Engine: r.Manifest.Engine, Version: r.Manifest.Layout, Shards: r.Manifest.Shards}
	if l.Engine != memory.Name && (prefixes[l.Engine] == "" || l.Shards < 1) {
		return done, fmt.Errorf("%w: it is of the engine %q with %d shards: must be keyfolder, dynfile or memory", archive.ErrDamaged, l.Engine, l.Shards)
	}
	made := !exists(dir)
	if err := plugin.MakeDir(dir); err != nil {
		return done, err
	}
	held, err := lock(dir)
	if err != nil {
		return done, err
	}
	defer func() {
		err = errors.Join(err, held.Close())
		if err != nil && made {
			_ = os.Remove(filepath.Join(dir, ".waddle.lock"))
			_ = os.Remove(dir) // fails if something is left in it
		}
	}()
	if err := makeEmpty(dir); err != nil {
		return done, err
	}
	below := l
	below.Dir = filepath.Join(dir, restoreName)
	if err := os.Mkdir(below.Dir, 0o700); err != nil {
		return done, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(below.Dir)
		}
	}()
	if done.Records, err = build(ctx, below, done.records(ctx, r, o), o); err != nil {
		return done, err
	}
	return done, moveUp(l, below.Dir)
}

// records reads the backup. The end of it is checked before the last record is written.
func (d *Restored) records(ctx context.Context, r *archive.Reader, o Options) func(yield func(store.Record, error) bool) {
	now := store.At(o.Now)
	return func(yield func(store.Record, error) bool) {
		stopped := errors.New("stopped")
		end, err := r.Records(func(r store.Record) error {
			if o.Read != nil {
				o.Read(1)
			}
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case r.Expires != 0 && r.Expires <= now:
				d.Expired++
			case !yield(r, nil):
				return stopped
			}
			return nil
		})
		d.End = end
		if err != nil && err != stopped {
			yield(store.Record{}, err)
		}
	}
}

// makeEmpty removes what an interrupted restore has left, and refuses anything else.
func makeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if !Vacant(entries) {
		// An interrupted restore has moved some of what it had made, but not the last.
		if !exists(filepath.Join(dir, restoreName)) || exists(filepath.Join(dir, asideName)) || exists(filepath.Join(dir, format.Name)) || exists(filepath.Join(dir, snapshotfile.Name)) {
			return fmt.Errorf("%s: %w: restore to another one, and move that to its place; nothing was changed", dir, ErrNotEmpty)
		}
		for _, e := range entries {
			if name := e.Name(); !ofShard(name) && !strings.HasPrefix(name, ".") && name != "lost+found" {
				return fmt.Errorf("%s: %w: it has %s beside what an interrupted restore has left; nothing was changed", dir, ErrNotEmpty, name)
			}
		}
		for _, e := range entries {
			if ofShard(e.Name()) {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return os.RemoveAll(filepath.Join(dir, restoreName))
}

func ofShard(name string) bool {
	return known["dynfile"].MatchString(name) || known["keyfolder"].MatchString(name)
}

// moveUp puts what was made into its place, and last of all the file that makes it count.
func moveUp(l Layout, from string) error {
	last := format.Name
	if l.Engine == memory.Name {
		last = snapshotfile.Name
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name == shardsName || !strings.HasPrefix(name, ".") && name != last {
			if err := os.Rename(filepath.Join(from, name), filepath.Join(l.Dir, name)); err != nil {
				return err
			}
		}
	}
	if err := syncDir(l.Dir); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(from, last), filepath.Join(l.Dir, last)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(syncDir(l.Dir), os.RemoveAll(from))
}
