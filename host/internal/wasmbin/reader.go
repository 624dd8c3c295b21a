package wasmbin

import "unicode/utf8"

// Reader walks over a part of a module and never reads beyond its end. The first fault
// stays in Err, and every read after it returns zero. So a caller may check Err once
// per item rather than once per byte.
type Reader struct {
	// Err is the first fault. A caller may set it to stop reading for a reason of its
	// own.
	Err error

	b    []byte
	pos  int
	base int // offset of b in the module
}

// NewReader returns a reader of b, which begins at that offset in the module.
func NewReader(b []byte, offset int) Reader { return Reader{b: b, base: offset} }

// Offset returns the position in the module.
func (r *Reader) Offset() int { return r.base + r.pos }

// Left returns how many bytes are left.
func (r *Reader) Left() int { return len(r.b) - r.pos }

// More reports whether anything is left to read and there is no fault.
func (r *Reader) More() bool { return r.Err == nil && r.pos < len(r.b) }

// Rest returns the remaining bytes without reading them.
func (r *Reader) Rest() []byte { return r.b[r.pos:len(r.b):len(r.b)] }

// Skip skips everything that is left.
func (r *Reader) Skip() { r.pos = len(r.b) }

// Fail records a fault at the position and ends the reading.
func (r *Reader) Fail(format string, args ...any) {
	if r.Err == nil {
		r.Err = Malformed(r.Offset(), format, args...)
		r.pos = len(r.b)
	}
}

// End records a fault if anything is left.
func (r *Reader) End() {
	if r.More() {
		r.Fail("%d bytes that belong to nothing", r.Left())
	}
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.pos >= len(r.b) {
		r.ended()
		return 0
	}
	b := r.b[r.pos]
	r.pos++
	return b
}

func (r *Reader) ended() { r.Fail("ends in the middle of an item") }

// Bytes reads n bytes. The result is part of the reader's input.
func (r *Reader) Bytes(n uint32) []byte {
	if uint64(n) > uint64(r.Left()) {
		r.Fail("an item of %d bytes, and %d are left", n, r.Left())
		return nil
	}
	b := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// Sub returns a reader of the next n bytes.
func (r *Reader) Sub(n uint32) Reader {
	base := r.Offset()
	b := r.Bytes(n)
	return Reader{b: b, base: base, Err: r.Err}
}

// U32 reads an unsigned LEB128 number of at most five bytes.
func (r *Reader) U32() uint32 {
	if r.pos < len(r.b) {
		if b := r.b[r.pos]; b < 0x80 {
			r.pos++
			return uint32(b)
		}
	}
	return r.longU32()
}

func (r *Reader) longU32() uint32 {
	var v uint32
	for shift := uint(0); shift < 35; shift += 7 {
		b := r.Byte()
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.Fail("a number that does not fit into 32 bits")
	return 0
}

// U64 reads an unsigned LEB128 number of at most ten bytes, such as the size of a
// 64-bit memory.
func (r *Reader) U64() uint64 {
	var v uint64
	for shift := uint(0); shift < 70; shift += 7 {
		b := r.Byte()
		if shift == 63 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.Fail("a number that does not fit into 64 bits")
	return 0
}

// Signed reads a signed LEB128 number with at most as many bytes as that many bits
// take. It ignores the unneeded bits of the last byte.
func (r *Reader) Signed(bits uint) (v int64) {
	for shift := uint(0); shift < bits; shift += 7 {
		b := r.Byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.Fail("a number that does not fit into %d bits", bits)
	return 0
}

// Count reads the length of a vector whose items take at least one byte each.
func (r *Reader) Count(what string) int {
	n := r.U32()
	r.Carries(what, n)
	if r.Err != nil {
		return 0
	}
	return int(n)
}

// Carries records a fault if fewer than n bytes are left for n items.
func (r *Reader) Carries(what string, n uint32) {
	if r.Err == nil && uint64(n) > uint64(r.Left()) {
		r.Fail("%d %s, and %d bytes are left", n, what, r.Left())
	}
}

// Name reads a name: a length and that many bytes of UTF-8.
func (r *Reader) Name() string { return r.Text(r.U32()) }

// Text reads n bytes of UTF-8.
func (r *Reader) Text(n uint32) string {
	b := r.Bytes(n)
	if r.Err == nil && !utf8.Valid(b) {
		r.Fail("a name that is not UTF-8")
	}
	return string(b)
}
