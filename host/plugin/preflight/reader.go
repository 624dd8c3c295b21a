package preflight

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// reader walks over a part of the module. It never reads beyond its end; the
// first fault is kept and every read after it gives zero, so that a caller may
// look at the fault once per item rather than once per byte.
//
// There are two ways to refuse: err, after which nothing more can be read, and
// refuse, after which reading goes on.
type reader struct {
	b       []byte
	pos     int
	base    int // offset of b in the module, for messages
	err     error
	reasons *reasons
}

// reasons are why a module is refused, each once.
type reasons struct {
	all  []error
	seen map[string]bool
}

// maxReasons bounds the list: a module may have as many faults as bytes.
const maxReasons = 100

func (s *reasons) add(err error) {
	if len(s.all) == maxReasons || s.seen[err.Error()] {
		return
	}
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	s.seen[err.Error()] = true
	s.all = append(s.all, err)
}

// place adds where they were found to the reasons from number first on.
func (s *reasons) place(first int, where string) {
	for i, err := range s.all[first:] {
		s.all[first+i] = fmt.Errorf("%w (%s)", err, where)
	}
}

// refuse notes a reason that does not keep the rest from being read.
func (r *reader) refuse(err error) {
	if r.err == nil {
		r.reasons.add(err)
	}
}

func (r *reader) offset() int { return r.base + r.pos }
func (r *reader) left() int   { return len(r.b) - r.pos }
func (r *reader) more() bool  { return r.err == nil && r.pos < len(r.b) }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed(r.offset(), format, args...)
		r.pos = len(r.b)
	}
}

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail("ends in the middle of an item")
		return 0
	}
	b := r.b[r.pos]
	r.pos++
	return b
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(r.left()) {
		r.fail("an item of %d bytes, and %d are left", n, r.left())
		return nil
	}
	b := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// sub gives the next n bytes as a reader of their own.
func (r *reader) sub(n uint32) reader {
	base := r.offset()
	b := r.bytes(n)
	return reader{b: b, base: base, err: r.err, reasons: r.reasons}
}

// u32 reads an unsigned LEB128 number of at most five bytes.
func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	var v uint32
	for shift := uint(0); shift < 35; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.fail("a number that does not fit into 32 bits")
	return 0
}

// u64 reads an unsigned LEB128 number of at most ten bytes, as the sizes of
// 64-bit memories are. What is above an int64 becomes the largest one.
func (r *reader) u64() int64 {
	var v uint64
	for shift := uint(0); shift < 70; shift += 7 {
		b := r.byte()
		if shift == 63 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int64(min(v, math.MaxInt64))
		}
	}
	r.fail("a number that does not fit into 64 bits")
	return 0
}

// signed reads a signed LEB128 number of at most the given width.
func (r *reader) signed(bits uint) (v int64) {
	for shift := uint(0); shift < bits; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.fail("a number that does not fit into %d bits", bits)
	return 0
}

// skipSigned skips a signed LEB128 number of at most the given width.
func (r *reader) skipSigned(bits uint) { r.signed(bits) }

// count reads the length of a vector whose items take at least one byte each.
func (r *reader) count(what string, limit int) int {
	n := r.u32()
	if r.err != nil {
		return 0
	}
	if uint64(n) > uint64(limit) {
		r.err = tooBig(what, int64(n), int64(limit))
		return 0
	}
	if int(n) > r.left() {
		r.fail("%d %s, and %d bytes are left", n, what, r.left())
		return 0
	}
	return int(n)
}

func (r *reader) name(limit int) string {
	n := r.u32()
	if r.err == nil && uint64(n) > uint64(limit) {
		r.err = tooBig("bytes of a name", int64(n), int64(limit))
		return ""
	}
	b := r.bytes(n)
	if r.err == nil && !utf8.Valid(b) {
		r.fail("a name that is not UTF-8")
	}
	return string(b)
}
