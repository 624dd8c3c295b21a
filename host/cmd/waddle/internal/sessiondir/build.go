package sessiondir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/internal/dirlock"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// build makes a directory of the layout's engine and shards with these records, by the
// engine itself, then reads it from outside, and compares. What it has built is on the
// disk when it returns.
func build(ctx context.Context, l Layout, records iter.Seq2[store.Record, error], o Options) (n int, err error) {
	written := make(ledger)
	counted := func(yield func(store.Record, error) bool) {
		for r, err := range records {
			if err == nil && !written.add(r) {
				err = errors.New("two records have the same key")
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
	if l.Engine == memory.Name {
		err = buildSnapshot(l.Dir, counted)
	} else {
		err = buildFiles(ctx, l, counted)
	}
	if err != nil {
		return 0, err
	}
	n = len(written)
	if o.Compare != nil {
		o.Compare()
	}
	compare := func(_ int, r store.Record) error {
		if o.Read != nil {
			o.Read(1)
		}
		return written.cross(r)
	}
	if _, err := l.Survey(ctx, -1, true, Seen{Record: compare, Part: o.Part}); err != nil {
		return n, fmt.Errorf("comparing what was written: %w", err)
	}
	if missing := written.missing(store.At(time.Now())); missing > 0 {
		return n, fmt.Errorf("comparing what was written: %d of %d records are not there", missing, n)
	}
	return n, nil
}

func buildFiles(ctx context.Context, l Layout, records iter.Seq2[store.Record, error]) (err error) {
	config := plugin.Config{Shards: l.Shards, Durability: plugin.DurabilityClose, Logger: slog.New(slog.DiscardHandler)}
	p, err := engines.Settings{Storage: l.Engine, Dir: l.Dir, Config: config}.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(ctx))) }()
	return p.Restore(ctx, records, store.At(time.Now()))
}

func buildSnapshot(dir string, records iter.Seq2[store.Record, error]) error {
	f, err := os.OpenFile(filepath.Join(dir, snapshotfile.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w := snapshotfile.NewWriter(f)
	for r, err := range records {
		if err != nil {
			return err
		}
		w.Add(r)
	}
	if err := w.End(); err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDir(dir))
}

// lock keeps servers out of a directory that is about to be changed.
func lock(dir string) (*dirlock.Lock, error) {
	l, err := dirlock.Acquire(dir)
	var inUse *dirlock.InUseError
	if errors.As(err, &inUse) {
		return nil, fmt.Errorf("%s is in use by %s: stop it first", dir, user(inUse))
	}
	return l, err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
