package plugin

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// What a snapshot is called while it is written: one of those in between, the
// last one, and one that takes over records from the file before.
const (
	snapshotNew    = ".new"
	snapshotLast   = ".last"
	snapshotMerged = ".merged"
)

// snapshotWriter writes a new file beside the one there is. Shards may add to it
// side by side.
type snapshotWriter struct {
	s    *snapshots
	last bool

	mu       sync.Mutex
	finished bool // nothing is added any more
	f        *os.File
	w        *bufio.Writer
	block    []byte
	count    uint64
	err      error
}

// begin starts a file. Its finish must follow.
func (s *snapshots) begin() (*snapshotWriter, error) {
	s.writing.Lock()
	w, err := s.create(snapshotNew)
	if err != nil {
		s.writing.Unlock()
	}
	return w, err
}

// beginLast starts the file that the plugin leaves behind. Another one that is
// being written, and may never be finished, comes to nothing.
func (s *snapshots) beginLast() (*snapshotWriter, error) {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	w, err := s.create(snapshotLast)
	if err != nil {
		return nil, err
	}
	w.last = true
	return w, nil
}

func (s *snapshots) create(suffix string) (*snapshotWriter, error) {
	f, err := os.OpenFile(s.path()+suffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w := &snapshotWriter{s: s, f: f, w: bufio.NewWriterSize(f, snapshotBlock)}
	_, w.err = w.w.WriteString(snapshotHeader)
	return w, nil
}

// write has the file hold what the guest holds. Operations go on meanwhile: one
// that falls into that time may or may not be in it.
func (s *snapshots) write(ctx context.Context, p *Plugin, now store.Millis) error {
	w, err := s.begin()
	if err != nil {
		return p.snapshotError(err)
	}
	defer s.writing.Unlock()
	errs := make([]error, len(p.shards))
	keep := make([]bool, len(p.shards))
	extents := p.extents()
	for i, s := range p.shards {
		patient, cancel := context.WithTimeout(ctx, p.config.patience)
		for chunk, err := range s.chunks(patient, extents.shard(), opSnapshot, now) {
			if err != nil {
				errs[i], keep[i] = p.notInSnapshot(s, err), true
				break
			}
			w.addList(chunk)
		}
		cancel()
		if errors.Is(errs[i], ErrEndless) {
			w.abort()
			return p.snapshotError(errs[i])
		}
	}
	if err := ctx.Err(); err != nil {
		w.abort()
		return err
	}
	return errors.Join(append(errs, p.snapshotError(w.finish(p, keep)))...)
}

func (p *Plugin) notInSnapshot(s *shard, err error) error {
	return fmt.Errorf("plugin %s: shard %d is in the snapshot with what it held at an earlier one: %w", p.config.Name, s.index, err)
}

// addShard adds what a shard that is being closed holds. Its lock is held.
func (w *snapshotWriter) addShard(s *shard, x *extent, in *instance, now store.Millis, moves *atomic.Uint64) error {
	for cursor := int64(0); ; {
		next, list, err := s.step(x, in, opSnapshot, cursor, now)
		if err != nil {
			return err
		}
		moves.Add(1)
		if !w.addList(list) {
			return fmt.Errorf("plugin %s: shard %d came too late for the snapshot: %w", s.plugin.config.Name, s.index, store.ErrUnavailable)
		}
		if next == 0 {
			return nil
		}
		cursor = next
	}
}

// addList adds the records of a list, and reports false if the file was finished
// before.
func (w *snapshotWriter) addList(list []byte) bool {
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
		w.add(store.Record{Key: key, Value: value, Expires: store.Millis(expires)})
		list = rest
	}
}

func (w *snapshotWriter) add(r store.Record) {
	if len(w.block) > 0 && len(w.block)+len(r.Key)+len(r.Value) > snapshotBlock {
		w.flush()
	}
	w.block = abi.AppendRecord(w.block, r.Key, r.Value, int64(r.Expires))
	w.count++
}

func (w *snapshotWriter) flush() {
	if len(w.block) > 0 {
		w.write(uint32(len(w.block)), w.block)
		w.block = w.block[:0]
	}
}

func (w *snapshotWriter) write(size uint32, list []byte) {
	head := binary.LittleEndian.AppendUint32(nil, size)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(list, castagnoli))
	for _, b := range [][]byte{head, list} {
		if w.err == nil {
			_, w.err = w.w.Write(b)
		}
	}
}

// finish puts the file in the place of the one before, and has the disk know. Of
// the shards to keep, it has what the one before had of them as well.
func (w *snapshotWriter) finish(p *Plugin, keep []bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	for _, is := range keep {
		if is {
			if err := w.takeOver(p, keep); err != nil {
				w.drop()
				return err
			}
			break
		}
	}
	w.flush()
	w.write(0, binary.LittleEndian.AppendUint64(nil, w.count))
	for _, step := range []func() error{w.w.Flush, w.f.Sync} {
		if w.err == nil {
			w.err = step()
		}
	}
	if err := w.f.Close(); w.err == nil {
		w.err = err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.err == nil && w.s.ended && !w.last {
		w.err = store.ErrClosed
	}
	if w.err == nil {
		w.err = os.Rename(w.f.Name(), w.s.path())
	}
	if w.err != nil {
		_ = os.Remove(w.f.Name())
		return w.err
	}
	return syncDir(w.s.dir)
}

// takeOver writes the file anew, with records of the file before in front: where
// a shard told a part of what it holds, the newer record must come later.
func (w *snapshotWriter) takeOver(p *Plugin, keep []bool) error {
	old, err := os.Open(w.s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer old.Close()
	r := bufio.NewReaderSize(old, snapshotBlock)
	if _, ok := readHeader(r); !ok {
		return nil
	}
	suffix := snapshotMerged
	if w.last {
		suffix += snapshotLast // another writer may be at it
	}
	merged, err := w.s.create(suffix)
	if err != nil {
		return err
	}
	// A guest that fails each time in the middle has a part taken over each time,
	// and another one added.
	extents := p.extents()
	left := make([]*extent, len(keep))
	for i := range left {
		left[i] = extents.shard()
	}
	for record, err := range readBlocks(r) {
		if err != nil {
			p.config.Logger.Error("the snapshot before is damaged: what is intact of it was taken over", "plugin", p.config.Name, "error", err)
			break
		}
		if i := abi.ShardOf(record.Key, len(keep)); keep[i] && left[i].bytes(int64(len(record.Key)+len(record.Value)+chunkCost)) {
			merged.add(record)
		}
	}
	merged.flush()
	w.flush()
	err = errors.Join(w.err, w.w.Flush(), merged.err)
	if err == nil {
		_, err = w.f.Seek(int64(len(snapshotHeader)), io.SeekStart)
	}
	if err == nil {
		_, err = io.Copy(merged.w, w.f)
	}
	if err != nil {
		merged.drop()
		return err
	}
	w.drop()
	w.f, w.w, w.block, w.count = merged.f, merged.w, merged.block[:0], w.count+merged.count
	return nil
}

// drop removes the file that was begun.
func (w *snapshotWriter) drop() {
	_ = w.f.Close()
	_ = os.Remove(w.f.Name())
}

func (w *snapshotWriter) abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	w.drop()
}

func (p *Plugin) snapshotError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("plugin %s: the snapshot was not written, the one before is kept: %w: %w", p.config.Name, store.ErrUnavailable, err)
}
