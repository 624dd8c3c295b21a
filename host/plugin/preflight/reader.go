package preflight

import "unicode/utf8"

// reader walks over a part of the module. It never reads beyond its end; the
// first fault is kept and every read after it gives zero, so that a caller may
// look at the fault once per item rather than once per byte.
type reader struct {
	b    []byte
	pos  int
	base int // offset of b in the module, for messages
	err  error
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
	return reader{b: b, base: base, err: r.err}
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

// skipSigned skips a signed LEB128 number of the given width.
func (r *reader) skipSigned(bits uint) {
	for n := uint(0); n < (bits+6)/7; n++ {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail("a number that does not fit into %d bits", bits)
}

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
