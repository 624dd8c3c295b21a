package archive

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Reader reads a backup. It is not safe for concurrent use.
type Reader struct {
	Manifest Manifest

	zip     *gzip.Reader
	tar     *tar.Reader
	sum     hash.Hash
	entries int
	count   End
}

// NewReader reads the manifest. It returns ErrDamaged for a file that is not a backup, or one
// of a later version.
func NewReader(r io.Reader) (*Reader, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, damaged("the beginning", "it is not a backup: must be a tar file that is compressed with gzip: %v", err)
	}
	from := &Reader{zip: zip, tar: tar.NewReader(zip), sum: sha256.New()}
	b, name, err := from.next()
	if err != nil {
		return nil, err
	}
	if name != manifestName {
		return nil, damaged("the beginning", "it begins with %q: must begin with %s", cut(name), manifestName)
	}
	if err := decode(name, b, &from.Manifest); err != nil {
		return nil, err
	}
	m := &from.Manifest
	switch {
	case m.Form != Form:
		return nil, damaged(name, "form is %q: must be %q", cut(m.Form), Form)
	case m.Version != Version:
		return nil, damaged(name, "version is %d: must be %d; a newer program reads it", m.Version, Version)
	case m.Engine == "" || m.Shards < 0 || m.Shards > abi.MaxShards || m.Shards&(m.Shards-1) != 0:
		return nil, damaged(name, "engine is %q and shards is %d: must be an engine and a power of two up to %d", cut(m.Engine), m.Shards, abi.MaxShards)
	}
	return from, nil
}

func decode(name string, b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(into); err != nil {
		return damaged(name, "%v", err)
	}
	return nil
}

// cut keeps a text from a file short.
func cut(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// next reads an entry.
func (r *Reader) next() (b []byte, name string, err error) {
	place := "the beginning"
	if r.entries > 0 {
		place = fmt.Sprintf("after record %d", r.count.Records)
	}
	h, err := r.tar.Next()
	if err == io.EOF {
		return nil, "", damaged(place, "it ends without %s: it was cut short", endName)
	}
	if err != nil {
		return nil, "", r.failed(place, err)
	}
	r.entries++
	most := int64(mostEntry)
	if h.Name == manifestName || h.Name == endName {
		most = mostText
	}
	if h.Typeflag != tar.TypeReg || h.Size > most {
		return nil, "", damaged(cut(h.Name), "it has %d bytes, of type %q: must be a file of at most %d", h.Size, h.Typeflag, most)
	}
	// The size is a claim until that much has been read.
	var content bytes.Buffer
	if _, err = io.Copy(&content, r.tar); err != nil {
		return nil, "", r.failed(h.Name, err)
	}
	if h.Name != endName {
		r.sum.Write(content.Bytes())
	}
	return content.Bytes(), h.Name, nil
}

// failed tells damage from a failure to read.
func (*Reader) failed(place string, err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return damaged(cut(place), "it ends there: it was cut short")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, tar.ErrHeader), errors.As(err, &corrupt):
		return damaged(cut(place), "%v", err)
	}
	return fmt.Errorf("reading the backup at %s: %w", cut(place), err)
}

// Records reads the records one after the other, then checks the end. A record is valid until
// visit returns. Records returns ErrDamaged, with the place, as soon as something is not
// right, and the error of visit. Until it has returned, the backup may not be whole.
func (r *Reader) Records(visit func(store.Record) error) (End, error) {
	for number := 1; ; number++ {
		b, name, err := r.next()
		if err != nil {
			return End{}, err
		}
		if name == endName {
			return r.end(b)
		}
		if want := fmt.Sprintf(recordsName, number); name != want {
			return End{}, damaged(cut(name), "it comes after record %d: must be %s or %s", r.count.Records, want, endName)
		}
		for at := 0; at < len(b); {
			n, err := r.record(name, b, at, visit)
			if err != nil {
				return End{}, err
			}
			at += n
		}
	}
}

func (r *Reader) record(name string, b []byte, at int, visit func(store.Record) error) (size int, err error) {
	place := fmt.Sprintf("record %d, in %s at byte %d", r.count.Records+1, name, at)
	rest := b[at:]
	if len(rest) < 4 {
		return 0, damaged(place, "it ends there: it was cut short")
	}
	key, value, expires, after, ok := abi.NextRecord(rest[4:])
	if !ok || len(key) == 0 {
		return 0, damaged(place, "it is not a record")
	}
	size = len(rest) - len(after)
	if crc32.Checksum(rest[4:size], castagnoli) != binary.LittleEndian.Uint32(rest) {
		return 0, damaged(place, "its checksum is wrong")
	}
	r.count.Records++
	r.count.Bytes += uint64(len(key) + len(value))
	return size, visit(store.Record{Key: key, Value: value, Expires: store.Millis(expires)})
}

// end compares what was read with what was written, and makes sure that nothing follows.
func (r *Reader) end(b []byte) (End, error) {
	var end End
	if err := decode(endName, b, &end); err != nil {
		return End{}, err
	}
	sum := hex.EncodeToString(r.sum.Sum(nil))
	switch {
	case end.Records != r.count.Records || end.Bytes != r.count.Bytes:
		return End{}, damaged(endName, "it has %d records of %d bytes: must have %d of %d", r.count.Records, r.count.Bytes, end.Records, end.Bytes)
	case end.Sum != sum:
		return End{}, damaged(endName, "its SHA-256 is %s: must be %s", sum, cut(end.Sum))
	}
	switch h, err := r.tar.Next(); {
	case err == nil:
		return End{}, damaged("the end", "%q follows: must be the end", cut(h.Name))
	case err != io.EOF:
		return End{}, r.failed("the end", err)
	}
	trailer, err := io.ReadAll(io.LimitReader(r.zip, mostTrailer+1))
	if err != nil {
		return End{}, r.failed("the end", err)
	}
	if len(bytes.Trim(trailer, "\x00")) > 0 || len(trailer) > mostTrailer {
		return End{}, damaged("the end", "more bytes follow: must be the end")
	}
	return end, nil
}
