package sessiondir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/store"
)

// Repair mends the findings of a check that a repair can mend, and returns a line for each
// step. It keeps what it takes away in a directory of its own. Every record that can be read
// is in the store afterwards. It leaves a directory that is well, or was repaired, as it is.
// It refuses one that is in use. If it is killed, another Repair goes on.
//
//   - keyfolder: a file that is damaged, or lies in a wrong place, is moved away.
//   - dynfile: the engine writes all sessions of a damaged shard anew. The shard as it was is
//     moved away when the new one was compared with it.
//   - memory: the intact part of a damaged snapshot is written anew.
func Repair(ctx context.Context, l Layout, o Options) (steps []string, err error) {
	held, err := lock(l.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	r := &repair{Layout: l, ctx: ctx, between: o.between, lost: filepath.Join(l.Dir, lostName, o.Now.UTC().Format("20060102T150405.000Z"))}
	if err := r.finish(); err != nil {
		return r.steps, err
	}
	found, err := Check(ctx, l, o)
	if err != nil {
		return r.steps, err
	}
	if l.unmarked {
		if err := r.mark(); err != nil {
			return r.steps, err
		}
	}
	switch l.Engine {
	case keyfolder.Name:
		err = r.moveFiles(found)
	case dynfile.Name:
		err = r.rebuildShards(found)
	case memory.Name:
		err = r.rewriteSnapshot(found)
	}
	if err == nil && exists(filepath.Join(l.Dir, restoreName)) {
		err = os.RemoveAll(filepath.Join(l.Dir, restoreName))
	}
	return r.steps, err
}

// repair is one that is under way.
type repair struct {
	Layout
	ctx     context.Context
	between func() error
	lost    string
	steps   []string
}

func (r *repair) did(format string, args ...any) {
	r.steps = append(r.steps, fmt.Sprintf(format, args...))
}

func (r *repair) path(name string) string { return filepath.Join(r.Dir, filepath.FromSlash(name)) }

// away moves something to where it is kept, under the same name.
func (r *repair) away(name string) error {
	to := filepath.Join(r.lost, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := os.Rename(r.path(name), to); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(to)), syncDir(filepath.Dir(r.path(name))))
}

// mark writes the file that says what the directory is.
func (r *repair) mark() error {
	if exists(r.path(format.Name)) {
		if err := r.away(format.Name); err != nil {
			return err
		}
	}
	text := format.Format{Engine: r.Engine, Version: r.Version, Shards: r.Shards}.String()
	name := r.path(format.Name + "-new-0")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(name, r.path(format.Name))
	}
	if err == nil {
		err = syncDir(r.Dir)
	}
	if err == nil {
		r.did("wrote the file %s: %s with %s", format.Name, r.Engine, shardCount(r.Shards))
	}
	return err
}

func (r *repair) moveFiles(found *Report) error {
	done := make(map[string]bool)
	for _, f := range found.Findings {
		if !f.repair || f.File == format.Name || done[f.File] || f.Remedy == remedies[0] || f.Shard < 0 {
			continue
		}
		info, err := os.Lstat(r.path(f.File))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err == nil {
			err = r.away(f.File)
		}
		if err != nil {
			return err
		}
		done[f.File] = true
		r.did("moved %s away: %s", f.File, f.Text)
	}
	return nil
}

// rebuildShards writes the shards anew that are damaged. A damaged hint is moved away: the
// engine makes another from its segment.
func (r *repair) rebuildShards(found *Report) error {
	var shards []int
	for _, f := range found.Findings {
		if f.Severity == survey.Damage.String() && strings.HasSuffix(f.File, ".hint") {
			if err := r.away(f.File); err != nil {
				return err
			}
			r.did("moved %s away: %s", f.File, f.Text)
		}
		if f.repair && f.Shard >= 0 && !slices.Contains(shards, f.Shard) && exists(r.path(shardName(f.Shard))) {
			shards = append(shards, f.Shard)
		}
	}
	for _, shard := range shards {
		if err := r.rebuild(shard); err != nil {
			return err
		}
	}
	return nil
}

func shardName(shard int) string { return prefixes[dynfile.Name] + fmt.Sprint(shard) }

// newName is that of a shard that was written anew, until the old one is away. It is one that
// engines see: a directory with neither a file format nor anything else would be a new
// store to them, and what a repair has made would be lost.
func newName(shard int) string { return shardName(shard) + "-new" }

func (r *repair) rebuild(shard int) error {
	below := r.Layout
	below.Dir = r.path(restoreName)
	if err := os.RemoveAll(below.Dir); err != nil {
		return err
	}
	if err := os.Mkdir(below.Dir, 0o700); err != nil {
		return err
	}
	n, err := build(r.ctx, below, r.readable(shard), Options{})
	if err != nil {
		return errors.Join(err, os.RemoveAll(below.Dir))
	}
	// From here on the new shard is whole. While there is no file format, no engine opens
	// the directory, and finish goes on.
	if err := os.Rename(r.path(format.Name), r.path(asideName)); err != nil {
		return err
	}
	name := shardName(shard)
	if err := os.Rename(filepath.Join(below.Dir, name), r.path(newName(shard))); err != nil {
		return err
	}
	if err := errors.Join(syncDir(below.Dir), syncDir(r.Dir)); err != nil {
		return err
	}
	if err := r.away(name); err != nil {
		return err
	}
	if r.between != nil {
		if err := r.between(); err != nil {
			return err
		}
	}
	r.did("wrote the %d sessions of %s anew, and moved it away as it was", n, name)
	return r.finish()
}

// finish ends what was begun when the new shard was whole.
func (r *repair) finish() error {
	if !exists(r.path(asideName)) {
		return nil
	}
	if exists(r.path(format.Name)) {
		return os.Remove(r.path(asideName))
	}
	for shard := range r.Shards {
		from, to := r.path(newName(shard)), r.path(shardName(shard))
		var err error
		switch {
		case !exists(from):
		case exists(to):
			err = os.RemoveAll(from) // the old one is not away: it is written anew once more
		default:
			err = os.Rename(from, to)
		}
		if err != nil {
			return err
		}
	}
	if err := syncDir(r.Dir); err != nil {
		return err
	}
	if err := os.Rename(r.path(asideName), r.path(format.Name)); err != nil {
		return err
	}
	return errors.Join(syncDir(r.Dir), os.RemoveAll(r.path(restoreName)))
}

// readable goes through what can be read of a shard.
func (r *repair) readable(shard int) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		stopped := errors.New("stopped")
		now := store.At(time.Now())
		_, err := r.Survey(r.ctx, shard, true, Seen{Record: func(_ int, record store.Record) error {
			if record.Expires != 0 && record.Expires <= now {
				return nil
			}
			if !yield(record, nil) {
				return stopped
			}
			return nil
		}})
		if err != nil && err != stopped {
			yield(store.Record{}, err)
		}
	}
}

// rewriteSnapshot writes the intact part of a snapshot anew.
func (r *repair) rewriteSnapshot(found *Report) error {
	if !slices.ContainsFunc(found.Findings, func(f Finding) bool { return f.repair }) {
		return nil
	}
	below := r.Layout
	below.Dir = r.path(restoreName)
	if err := errors.Join(os.RemoveAll(below.Dir), os.Mkdir(below.Dir, 0o700)); err != nil {
		return err
	}
	n, err := build(r.ctx, below, r.readable(0), Options{})
	if err != nil {
		return errors.Join(err, os.RemoveAll(below.Dir))
	}
	// A link keeps the old one where it is until the new one takes its place.
	to := filepath.Join(r.lost, snapshotfile.Name)
	if err := os.MkdirAll(r.lost, 0o700); err != nil {
		return err
	}
	if err := os.Link(r.path(snapshotfile.Name), to); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(below.Dir, snapshotfile.Name), r.path(snapshotfile.Name)); err != nil {
		return err
	}
	r.did("wrote %d sessions of %s anew, and moved it away as it was", n, snapshotfile.Name)
	return errors.Join(syncDir(r.lost), syncDir(r.Dir), os.RemoveAll(below.Dir))
}
