package plugin

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
)

// Suffixes of a snapshot that is being written: one while the plugin runs, the
// last one, and one that takes over records from the previous file.
const (
	snapshotNew    = ".new"
	snapshotLast   = ".last"
	snapshotMerged = ".merged"
)

// snapshotWriter writes a new file beside the current one. Shards may add to it
// at the same time.
type snapshotWriter struct {
	s    *snapshots
	last bool

	mu       sync.Mutex
	finished bool // Add adds nothing any more
	f        *os.File
	w        *bufio.Writer
	block    []byte
	count    uint64
	err      error
}

var _ protocol.Archive = (*snapshots)(nil)

// Begin implements protocol.Archive. If another file is being written when the last one
// begins, it is discarded, finished or not.
func (s *snapshots) Begin(last bool) (protocol.Copy, error) {
	if last {
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
	s.writing.Lock()
	w, err := s.create(snapshotNew)
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
	w := &snapshotWriter{s: s, f: f, w: bufio.NewWriterSize(f, snapshotBlock)}
	_, w.err = w.w.WriteString(snapshotHeader)
	return w, nil
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
	r := bufio.NewReaderSize(old, snapshotBlock)
	if _, ok := readHeader(r); !ok {
		return nil
	}
	suffix := snapshotMerged
	if w.last {
		suffix += snapshotLast // another writer may use the other name
	}
	merged, err := w.s.create(suffix)
	if err != nil {
		return err
	}
	for record, err := range readBlocks(r) {
		if err != nil {
			w.s.log.Error("the previous snapshot is damaged: its intact part was taken over", "error", err)
			break
		}
		if i := abi.ShardOf(record.Key, len(keep)); keep[i] && room(i, record) {
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
