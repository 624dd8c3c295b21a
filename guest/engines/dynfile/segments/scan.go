package segments

import (
	"errors"
	"io"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// scanner goes through the records of a segment in file order. Where there is
// none, it looks for the next one and reports what it skipped.
type scanner struct {
	file  vfs.File
	seeds seeds
	end   int64 // where to stop

	// headersOnly leaves it to the caller to check whether key and value are
	// whole, where it needs them.
	headersOnly bool

	at     int64 // offset of what comes next
	buffer []byte
	start  int64 // offset in the file of the buffer's contents
	filled int
	ended  bool // the file has nothing after the buffer
}

// find is something that a scanner meets.
type find struct {
	record
	offset int64
	bytes  []byte // the whole record, valid until the next step

	// kind of find
	what found
	to   int64 // where a gap ends
}

type found uint8

const (
	foundEnd    found = iota
	foundRecord       // a record
	foundBroken       // a record whose header is right but whose key or value is not
	foundGap          // bytes that are not a record, from offset to the next one or to the end
)

const scanBuffer = 128 << 10

func newScanner(file vfs.File, seeds seeds, end int64, buffer []byte) *scanner {
	if len(buffer) < scanBuffer {
		buffer = make([]byte, scanBuffer)
	}
	return &scanner{file: file, seeds: seeds, end: end, at: recordsAt, buffer: buffer}
}

// rewind continues at an offset that it was at before.
func (sc *scanner) rewind(at int64) { sc.at = at }

// window returns n bytes of the file, or fewer at its end.
func (sc *scanner) window(at int64, n int) ([]byte, error) {
	n = int(min(int64(n), sc.end-at))
	if n <= 0 {
		return nil, nil
	}
	if have := sc.start + int64(sc.filled); at < sc.start || at+int64(n) > have && !sc.ended || at > have {
		if n > len(sc.buffer) {
			sc.buffer = make([]byte, maxRecord)
		}
		want := int(min(int64(len(sc.buffer)), sc.end-at))
		got, err := sc.file.ReadAt(sc.buffer[:want], at)
		if err != nil && !errors.Is(err, io.EOF) {
			sc.filled, sc.ended = 0, false
			return nil, err
		}
		sc.start, sc.filled, sc.ended = at, got, got < want
	}
	from := int(at - sc.start)
	return sc.buffer[from:min(from+n, sc.filled)], nil
}

// next returns what comes next. On an error it stays where it is.
func (sc *scanner) next() (find, error) {
	f, err := sc.try(sc.at, true)
	if err != nil || f.what == foundEnd {
		return f, err
	}
	if f.what != foundGap {
		// This also holds for a broken record: the lengths passed their
		// checksum.
		sc.at += int64(f.size())
		return f, nil
	}
	gap := find{what: foundGap, offset: sc.at, to: sc.at}
	for gap.to += unit; ; gap.to += unit {
		f, err := sc.try(gap.to, false)
		if err != nil {
			return gap, err
		}
		if f.what == foundEnd {
			gap.to = sc.end
		}
		if f.what == foundRecord || f.what == foundEnd {
			sc.at = gap.to
			return gap, nil
		}
	}
}

// try looks for a record at an offset.
func (sc *scanner) try(at int64, known bool) (find, error) {
	header, err := sc.window(at, headerSize)
	if err != nil || len(header) == 0 {
		return find{what: foundEnd}, err
	}
	if len(header) < headerSize {
		return find{what: foundGap}, nil
	}
	r, ok := sc.seeds.open(header, at)
	repaired := false
	if !ok && known && sc.seeds.repair(header, at) {
		// Some bytes that are not a record could be repaired into one, but then
		// the body's checksum is wrong too.
		r, ok = sc.seeds.open(header, at)
		repaired = true
	}
	if !ok {
		return find{what: foundGap}, nil
	}
	b, err := sc.window(at, r.size())
	if err != nil {
		return find{}, err
	}
	switch {
	case len(b) == r.size() && (sc.headersOnly && known && !repaired || sc.seeds.whole(b, &r)):
		return find{record: r, offset: at, bytes: b, what: foundRecord}, nil
	case repaired || len(b) < r.size():
		return find{what: foundGap}, nil
	}
	return find{record: r, offset: at, what: foundBroken}, nil
}
