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
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/internal/dirlock"
	"github.com/waddle-sessions/waddle/host/store"
)

// snapshots carries the records of a guest that keeps them in its memory from
// one run of the program to the next: a file that is written when the plugin
// saves and closes, and read when it opens.
//
// The file is snapshotHeader, and then blocks: length u32, CRC-32C u32, and as
// many bytes of records in the form of session_snapshot. A block of length 0
// ends it, with the number of records, u64, in place of records. It replaces
// the one before in one step, so that it is whole unless somebody damages it;
// what is intact of a damaged one is used, and the file is kept aside.
type snapshots struct {
	mu   sync.Mutex // of who writes the file
	dir  string
	lock *dirlock.Lock
}

const (
	snapshotName    = "sessions.snapshot"
	snapshotHeader  = "waddle snapshot 1\n"
	snapshotBlock   = 256 << 10
	snapshotDamaged = ".damaged"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openSnapshots takes the directory, which it makes if there is none.
func openSnapshots(dir string) (*snapshots, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, loadError(ErrMount, err, "%s", clean(err.Error()))
	}
	lock, err := dirlock.Acquire(dir)
	if err != nil {
		return nil, mountError(Mount{Dir: dir}, err)
	}
	return &snapshots{dir: dir, lock: lock}, nil
}

func (s *snapshots) path() string { return filepath.Join(s.dir, snapshotName) }

// restore gives the plugin what the file holds.
func (s *snapshots) restore(p *Plugin) error {
	f, err := os.Open(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return loadError(ErrMount, err, "%s", clean(err.Error()))
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, snapshotBlock)
	header := make([]byte, len(snapshotHeader))
	if _, err := io.ReadFull(r, header); err != nil || string(header) != snapshotHeader {
		line, _, _ := strings.Cut(string(header), "\n")
		return loadError(ErrMount, nil, "%q begins %q, and this program reads %q: move it away, or use the program that wrote it",
			s.path(), clean(line), strings.TrimSpace(snapshotHeader))
	}
	var damage error
	records := func(yield func(store.Record, error) bool) {
		for record, err := range readSnapshot(r) {
			if err != nil {
				damage = err
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
	if err := p.Restore(context.Background(), records, p.config.Now().UnixMilli()); err != nil {
		return fmt.Errorf("restoring %q: %w", s.path(), err)
	}
	if damage != nil {
		aside := s.path() + snapshotDamaged
		p.config.Logger.Error("the snapshot is damaged: what is intact of it was restored, and it is kept aside",
			"plugin", p.config.Name, "file", aside, "error", damage)
		if err := os.Rename(s.path(), aside); err != nil {
			return loadError(ErrMount, err, "%s", clean(err.Error()))
		}
	}
	return nil
}

// readSnapshot reads the blocks of a snapshot. An error is damage, and the last
// thing it gives.
func readSnapshot(r io.Reader) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		damaged := func(format string, args ...any) {
			yield(store.Record{}, fmt.Errorf("%w: %s", store.ErrCorrupt, fmt.Sprintf(format, args...)))
		}
		count := uint64(0)
		for block := 0; ; block++ {
			var head [8]byte
			if _, err := io.ReadFull(r, head[:]); err != nil {
				damaged("it ends before block %d", block)
				return
			}
			size := binary.LittleEndian.Uint32(head[:])
			last := size == 0
			if last {
				size = 8
			}
			if size > maxChunk {
				damaged("block %d has %d bytes, and the most is %d", block, size, maxChunk)
				return
			}
			list := make([]byte, size)
			if _, err := io.ReadFull(r, list); err != nil {
				damaged("it ends within block %d", block)
				return
			}
			if crc32.Checksum(list, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
				damaged("the checksum of block %d is wrong", block)
				return
			}
			if last {
				if n := binary.LittleEndian.Uint64(list); n != count {
					damaged("it has %d records, and should have %d", count, n)
				}
				return
			}
			for len(list) > 0 {
				key, value, expires, rest, ok := abi.NextRecord(list)
				if !ok || len(key) == 0 {
					damaged("block %d is not a list of records", block)
					return
				}
				count++
				if !yield(store.Record{Key: key, Value: value, Expires: expires}, nil) {
					return
				}
				list = rest
			}
		}
	}
}

// snapshotWriter writes a new file beside the one there is.
type snapshotWriter struct {
	s     *snapshots
	f     *os.File
	w     *bufio.Writer
	block []byte
	count uint64
	err   error
}

// begin starts a file. Its commit or abort must follow.
func (s *snapshots) begin() (*snapshotWriter, error) {
	s.mu.Lock()
	f, err := os.OpenFile(s.path()+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	w := &snapshotWriter{s: s, f: f, w: bufio.NewWriterSize(f, snapshotBlock)}
	_, w.err = w.w.WriteString(snapshotHeader)
	return w, nil
}

func (w *snapshotWriter) add(r store.Record) {
	if len(w.block) > 0 && len(w.block)+len(r.Key)+len(r.Value) > snapshotBlock {
		w.flush()
	}
	w.block = abi.AppendRecord(w.block, r.Key, r.Value, r.Expires)
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

// commit puts the file in the place of the one before, and has the disk know.
func (w *snapshotWriter) commit() error {
	defer w.s.mu.Unlock()
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
	if w.err == nil {
		w.err = os.Rename(w.f.Name(), w.s.path())
	}
	if w.err != nil {
		_ = os.Remove(w.f.Name())
		return w.err
	}
	return syncDir(w.s.dir)
}

func (w *snapshotWriter) abort() {
	defer w.s.mu.Unlock()
	_ = w.f.Close()
	_ = os.Remove(w.f.Name())
}

// write has the file hold what the guest holds. Operations go on meanwhile:
// one that falls into that time may or may not be in it.
func (s *snapshots) write(ctx context.Context, p *Plugin, now int64) error {
	w, err := s.begin()
	if err != nil {
		return p.snapshotError(err)
	}
	for record, err := range p.Snapshot(ctx, now) {
		if err != nil {
			w.abort()
			return err
		}
		w.add(record)
	}
	return p.snapshotError(w.commit())
}

func (p *Plugin) snapshotError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("plugin %s: the snapshot was not written, the one before is kept: %w: %w", p.config.Name, store.ErrUnavailable, err)
}

// last adds what a shard that is being closed holds. Its lock is held.
func (w *snapshotWriter) last(s *shard, in *instance, now int64) error {
	var cursors cycle
	for cursor := int64(0); ; {
		next, list, err := in.chunk(opSnapshot, cursor, now)
		if err = s.done(opSnapshot, in, err); err != nil {
			return err
		}
		if !cursors.add(next) {
			return s.newError("snapshot", &fault{kind: ErrProtocol, message: fmt.Sprintf("the cursor %d comes again", next)})
		}
		for {
			key, value, expires, rest, ok := abi.NextRecord(list)
			if !ok {
				break
			}
			w.add(store.Record{Key: key, Value: value, Expires: expires})
			list = rest
		}
		if next == 0 {
			return nil
		}
		cursor = next
	}
}

func (s *snapshots) close() error { return s.lock.Close() }

// defaultSnapshotInterval is longer than that of guests that keep files: a
// snapshot writes everything.
const defaultSnapshotInterval = time.Minute
