package plugin

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/store"
)

// snapshotWriter writes a new file beside the current one. Shards may add to it
// at the same time.
type snapshotWriter struct {
	s    *snapshots
	last bool

	mu       sync.Mutex
	finished bool // Add adds nothing any more
	f        *os.File
	w        *snapshotfile.Writer
}

var _ protocol.Archive = (*snapshots)(nil)

// Begin implements protocol.Archive. If another file is being written when the last one
// begins, it is discarded, finished or not.
func (s *snapshots) Begin(last bool) (protocol.Copy, error) {
	if last {
		s.mu.Lock()
		s.ended = true
		s.mu.Unlock()
		w, err := s.create(snapshotfile.Last)
		if err != nil {
			return nil, err
		}
		w.last = true
		return w, nil
	}
	s.writing.Lock()
	w, err := s.create(snapshotfile.New)
	if err != nil {
		s.writing.Unlock()
		return nil, err
	}
	return w, nil
}

// done lets the next file begin.
func (w *snapshotWriter) done() {
	if !w.last {
		w.s.writing.Unlock()
	}
}

func (s *snapshots) create(suffix string) (*snapshotWriter, error) {
	f, err := os.OpenFile(s.path()+suffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &snapshotWriter{s: s, f: f, w: snapshotfile.NewWriter(f)}, nil
}

// Add implements protocol.Copy.
func (w *snapshotWriter) Add(list []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished {
		return false
	}
	for {
		key, value, expires, rest, ok := abi.NextRecord(list)
		if !ok {
			return true
		}
		w.w.Add(store.Record{Key: key, Value: value, Expires: store.Millis(expires)})
		list = rest
	}
}

// Finish implements protocol.Copy: it replaces the previous file, and syncs the file
// and the directory.
func (w *snapshotWriter) Finish(keep []bool, room func(shard int, r store.Record) bool) error {
	defer w.done()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	for _, is := range keep {
		if is {
			if err := w.takeOver(keep, room); err != nil {
				w.drop()
				return err
			}
			break
		}
	}
	err := w.w.End()
	if err == nil {
		err = w.f.Sync()
	}
	if closed := w.f.Close(); err == nil {
		err = closed
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if err == nil && w.s.ended && !w.last {
		err = store.ErrClosed
	}
	if err == nil {
		err = os.Rename(w.f.Name(), w.s.path())
	}
	if err != nil {
		_ = os.Remove(w.f.Name())
		return err
	}
	return syncDir(w.s.dir)
}

// takeOver writes the file anew, with records of the previous file first: if a shard
// has given a part of its records, the newer record must come later.
func (w *snapshotWriter) takeOver(keep []bool, room func(shard int, r store.Record) bool) error {
	old, err := os.Open(w.s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer old.Close()
	r := bufio.NewReaderSize(old, snapshotfile.BlockSize)
	if _, ok := snapshotfile.ReadHeader(r); !ok {
		return nil
	}
	suffix := snapshotfile.Merged
	if w.last {
		suffix += snapshotfile.Last // another writer may use the other name
	}
	merged, err := w.s.create(suffix)
	if err != nil {
		return err
	}
	for record, err := range snapshotfile.Records(r) {
		if err != nil {
			w.s.log.Error("the previous snapshot is damaged: its intact part was taken over", "error", err)
			break
		}
		if i := abi.ShardOf(record.Key, len(keep)); keep[i] && room(i, record) {
			merged.w.Add(record)
		}
	}
	err = w.w.Flush()
	if err == nil {
		_, err = w.f.Seek(int64(len(snapshotfile.Header)), io.SeekStart)
	}
	if err == nil {
		err = merged.w.Copy(w.f, w.w)
	}
	if err != nil {
		merged.drop()
		return err
	}
	w.drop()
	w.f, w.w = merged.f, merged.w
	return nil
}

// drop removes the unfinished file.
func (w *snapshotWriter) drop() {
	_ = w.f.Close()
	_ = os.Remove(w.f.Name())
}

// Abort implements protocol.Copy.
func (w *snapshotWriter) Abort() {
	defer w.done()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	w.drop()
}
