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
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin/internal/dirlock"
	"github.com/waddle-sessions/waddle/host/store"
)

// snapshots carries the records of a guest that keeps them in memory from one run
// of the program to the next. The plugin writes a file when it saves and closes,
// and reads it when it opens.
//
// The file has snapshotHeader, and then blocks: length u32, CRC-32C u32, and that
// many bytes of records in the form of session_snapshot. The last block has length
// 0, and the number of records, u64, in place of records. A new file replaces the
// previous one in one step, so it is whole unless somebody damages it. The intact
// part of a damaged file is used, and the file is kept aside.
type snapshots struct {
	dir  string
	lock *dirlock.Lock
	log  *slog.Logger // with the plugin's name

	writing sync.Mutex // held by the writer of a file, except of the last one

	mu    sync.Mutex // guards ended, and the file's name
	ended bool       // the last file has been begun: no other replaces it
}

const (
	snapshotName    = "sessions.snapshot"
	snapshotHeader  = "waddle snapshot 1\n"
	snapshotBlock   = 256 << 10
	snapshotDamaged = ".damaged"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

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

func (s *snapshots) path() string { return filepath.Join(s.dir, snapshotName) }

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
	r := bufio.NewReaderSize(f, snapshotBlock)
	if header, ok := readHeader(r); !ok {
		line, _, _ := strings.Cut(header, "\n")
		return loadError(ErrDirectory, nil, "%q begins %q: must begin %q; move it away, or use the program that wrote it",
			s.path(), printable.Clean(line), strings.TrimSpace(snapshotHeader))
	}
	var damage error
	records := func(yield func(store.Record, error) bool) {
		for record, err := range readBlocks(r) {
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
		aside := s.path() + snapshotDamaged
		s.log.Error("the snapshot is damaged: its intact part was restored, and the file is kept aside", "file", aside, "error", damage)
		if err := os.Rename(s.path(), aside); err != nil {
			return loadError(ErrDirectory, err, "%s", printable.Clean(err.Error()))
		}
	}
	return nil
}

func readHeader(r io.Reader) (header string, ok bool) {
	b := make([]byte, len(snapshotHeader))
	_, err := io.ReadFull(r, b)
	return string(b), err == nil && string(b) == snapshotHeader
}

// readBlocks reads the blocks of a snapshot. It yields an error if there is damage,
// and then ends.
func readBlocks(r io.Reader) iter.Seq2[store.Record, error] {
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
				damaged("block %d has %d bytes: must be at most %d", block, size, maxChunk)
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
					damaged("it has %d records: must have %d", count, n)
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
				if !yield(store.Record{Key: key, Value: value, Expires: store.Millis(expires)}, nil) {
					return
				}
				list = rest
			}
		}
	}
}

func (s *snapshots) close() error { return s.lock.Close() }

// defaultSnapshotInterval is longer than the interval of guests that keep files,
// because a snapshot writes everything.
const defaultSnapshotInterval = time.Minute
