package archive

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes a backup. It is not safe for concurrent use.
type Writer struct {
	zip   *gzip.Writer
	tar   *tar.Writer
	sum   hash.Hash
	begun time.Time

	entry   []byte // records that are not written yet
	entries int
	end     End
}

// NewWriter begins a backup with its manifest, in which it sets Form and Version.
func NewWriter(w io.Writer, m Manifest) (*Writer, error) {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	to := &Writer{zip: zip, tar: tar.NewWriter(zip), sum: sha256.New(), begun: m.Begun}
	m.Form, m.Version = Form, Version
	return to, to.text(manifestName, m)
}

func (w *Writer) text(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return w.write(name, append(b, '\n'))
}

func (w *Writer) write(name string, b []byte) error {
	w.sum.Write(b)
	err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(b)), Mode: 0o600,
		ModTime: w.begun.Truncate(time.Second), Format: tar.FormatUSTAR})
	if err == nil {
		_, err = w.tar.Write(b)
	}
	return err
}

// Add adds a record and keeps nothing of it.
func (w *Writer) Add(r store.Record) error {
	at := len(w.entry)
	w.entry = append(w.entry, 0, 0, 0, 0)
	w.entry = abi.AppendRecord(w.entry, r.Key, r.Value, int64(r.Expires))
	binary.LittleEndian.PutUint32(w.entry[at:], crc32.Checksum(w.entry[at+4:], castagnoli))
	w.end.Records++
	w.end.Bytes += uint64(len(r.Key) + len(r.Value))
	if len(w.entry) < entrySize {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.entry) == 0 {
		return nil
	}
	w.entries++
	err := w.write(fmt.Sprintf(recordsName, w.entries), w.entry)
	w.entry = w.entry[:0]
	return err
}

// Close ends the backup and returns what it has. It does not close the writer beneath.
func (w *Writer) Close(lost int, ended time.Time) (End, error) {
	if err := w.flush(); err != nil {
		return End{}, err
	}
	w.end.Lost, w.end.Ended, w.end.Sum = lost, ended, hex.EncodeToString(w.sum.Sum(nil))
	err := w.text(endName, w.end)
	if err == nil {
		err = w.tar.Close()
	}
	if err == nil {
		err = w.zip.Close()
	}
	return w.end, err
}
