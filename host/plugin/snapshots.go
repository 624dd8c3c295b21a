package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/dirlock"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/store"
)

// snapshots carries the records of a guest that keeps them in memory from one run
// of the program to the next. The plugin writes a file when it saves and closes,
// and reads it when it opens.
//
// Package snapshotfile has the form of the file. A new file replaces the previous one in
// one step, so it is whole unless somebody damages it. The intact part of a damaged file
// is used, and the file is kept aside.
type snapshots struct {
	dir  string
	lock *dirlock.Lock
	log  *slog.Logger // with the plugin's name

	writing sync.Mutex // held by the writer of a file, except of the last one

	mu    sync.Mutex // guards ended, and the file's name
	ended bool       // the last file has been begun: no other replaces it
}

// openSnapshots locks the directory, and makes it if there is none.
func (p *Plugin) openSnapshots(ctx context.Context, dir string) (*snapshots, error) {
	if err := MakeDir(dir); err != nil {
		return nil, loadError(ErrDirectory, err, "%s", printable.Clean(err.Error()))
	}
	lock, err := p.lockDir(ctx, dir)
	if err != nil {
		return nil, mountError(Mount{Dir: dir}, err)
	}
	return &snapshots{dir: dir, lock: lock, log: p.config.Logger.With("plugin", p.Name())}, nil
}

func (s *snapshots) path() string { return filepath.Join(s.dir, snapshotfile.Name) }

// restore gives the plugin the records of the file.
func (s *snapshots) restore(p *Plugin) error {
	f, err := os.Open(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return loadError(ErrDirectory, err, "%s", printable.Clean(err.Error()))
	}
	defer f.Close()
	// The file has a time of the previous run's clock.
	if info, err := f.Stat(); err == nil {
		p.clock.reference(info.ModTime())
	}
	r := bufio.NewReaderSize(f, snapshotfile.BlockSize)
	if header, ok := snapshotfile.ReadHeader(r); !ok {
		line, _, _ := strings.Cut(header, "\n")
		return loadError(ErrDirectory, nil, "%q begins %q: must begin %q; move it away, or use the program that wrote it",
			s.path(), printable.Clean(line), strings.TrimSpace(snapshotfile.Header))
	}
	var damage error
	records := func(yield func(store.Record, error) bool) {
		for record, err := range snapshotfile.Records(r) {
			if err != nil {
				damage = err
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
	if err := p.Restore(context.Background(), records, p.judged()); err != nil {
		return fmt.Errorf("restoring %q: %w", s.path(), err)
	}
	if damage != nil {
		aside := s.path() + snapshotfile.Damaged
		s.log.Error("the snapshot is damaged: its intact part was restored, and the file is kept aside", "file", aside, "error", damage)
		if err := os.Rename(s.path(), aside); err != nil {
			return loadError(ErrDirectory, err, "%s", printable.Clean(err.Error()))
		}
	}
	return nil
}

func (s *snapshots) close() error { return s.lock.Close() }

// defaultSnapshotInterval is longer than the interval of guests that keep files,
// because a snapshot writes everything.
const defaultSnapshotInterval = time.Minute
