// Package snapshotfile reads and writes the file in which the host keeps the records of a
// guest that has them in memory.
//
// The file has Header, and then blocks: length u32, CRC-32C u32, and that many bytes of
// records in the form of session_snapshot. The last block has length 0, and the number of
// records, u64, in place of records. All numbers are little-endian. If a key is there
// twice, the later record counts.
package snapshotfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"iter"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// The name of the file in its directory, and the suffixes of a file that is being written
// or was damaged.
const (
	Name = "sessions.snapshot"

	New     = ".new"    // while the plugin runs
	Last    = ".last"   // the last one
	Merged  = ".merged" // one that takes over records from the previous file
	Damaged = ".damaged"
)

// Header begins the file.
const Header = "waddle snapshot 1\n"

// BlockSize is about how many bytes of records are in a block. A larger record has a block
// of its own.
const BlockSize = 256 << 10

// mostBlock exceeds the largest record.
const mostBlock = abi.MaxValue + 64<<10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ReadHeader reads the header, which must be Header.
func ReadHeader(r io.Reader) (header string, ok bool) {
	b := make([]byte, len(Header))
	_, err := io.ReadFull(r, b)
	return string(b), err == nil && string(b) == Header
}

// Records reads the blocks behind the header. If there is damage, it yields an error that is
// [store.ErrCorrupt] and then ends. A record belongs to the caller.
func Records(r io.Reader) iter.Seq2[store.Record, error] {
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
			if size > mostBlock {
				damaged("block %d has %d bytes: must be at most %d", block, size, mostBlock)
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

// Writer writes a file. An error stays and is returned by Flush and End.
type Writer struct {
	w     *bufio.Writer
	block []byte
	count uint64
	err   error
}

// NewWriter writes the header.
func NewWriter(w io.Writer) *Writer {
	to := &Writer{w: bufio.NewWriterSize(w, BlockSize)}
	_, to.err = to.w.WriteString(Header)
	return to
}

// Add adds a record and keeps nothing of it.
func (w *Writer) Add(r store.Record) {
	if len(w.block) > 0 && len(w.block)+len(r.Key)+len(r.Value) > BlockSize {
		w.endBlock()
	}
	w.block = abi.AppendRecord(w.block, r.Key, r.Value, int64(r.Expires))
	w.count++
}

func (w *Writer) endBlock() {
	if len(w.block) > 0 {
		w.write(uint32(len(w.block)), w.block)
		w.block = w.block[:0]
	}
}

func (w *Writer) write(size uint32, list []byte) {
	head := binary.LittleEndian.AppendUint32(nil, size)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(list, castagnoli))
	for _, b := range [][]byte{head, list} {
		if w.err == nil {
			_, w.err = w.w.Write(b)
		}
	}
}

// Flush writes all records that were added. The file is not whole yet.
func (w *Writer) Flush() error {
	w.endBlock()
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

// Copy adds the blocks of another unfinished file, which r reads from behind its header.
func (w *Writer) Copy(r io.Reader, other *Writer) error {
	w.endBlock()
	if w.err == nil {
		_, w.err = io.Copy(w.w, r)
	}
	w.count += other.count
	return w.err
}

// End writes the last block.
func (w *Writer) End() error {
	w.endBlock()
	w.write(0, binary.LittleEndian.AppendUint64(nil, w.count))
	return w.Flush()
}
