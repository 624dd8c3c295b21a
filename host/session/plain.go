package session

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Most values of sessions are strings, numbers and bools. A [Key] knows the type of its
// value, so these need no codec: its Marshal and Unmarshal take an any, into which every
// value is copied first. What these functions write is what [CBOR] writes, and they read
// only what it certainly reads, to the same value; everything else is left to it.

// sharesUpTo is the size of a session's values up to which a string of them shares
// their memory. A handler that keeps a string keeps all of them in memory.
const sharesUpTo = 1 << 10

// decodePlain decodes a value into v if that points to a plain type and the value is of
// its kind. If it shares, the data must never change, since a string may be part of it.
func decodePlain(data []byte, v any, share bool) bool {
	if len(data) == 0 || len(data) > unbounded && data[0]>>5 != cborText {
		return false
	}
	switch v := v.(type) {
	case *string:
		text, ok := cborContent(data, cborText)
		if !ok {
			return false
		}
		if share && len(text) > 0 {
			*v = unsafe.String(&text[0], len(text))
		} else {
			*v = string(text)
		}
		return true
	case *bool:
		if len(data) != 1 || data[0] != cborFalse && data[0] != cborTrue {
			return false
		}
		*v = data[0] == cborTrue
		return true
	case *float64:
		if len(data) != 9 || data[0] != cborFloat64 {
			return false
		}
		*v = math.Float64frombits(binary.BigEndian.Uint64(data[1:]))
		return true
	case *int:
		return decodeSigned(data, v, math.MinInt, math.MaxInt)
	case *int64:
		return decodeSigned(data, v, math.MinInt64, math.MaxInt64)
	case *int32:
		return decodeSigned(data, v, math.MinInt32, math.MaxInt32)
	case *uint:
		return decodeUnsigned(data, v, math.MaxUint)
	case *uint64:
		return decodeUnsigned(data, v, math.MaxUint64)
	case *uint32:
		return decodeUnsigned(data, v, math.MaxUint32)
	}
	return false
}

// encodePlain encodes the value that v points to if that is of a plain type.
func encodePlain(v any) (data []byte, ok bool) {
	switch v := v.(type) {
	case *string:
		var head [maxHead]byte
		n := putHead(&head, cborText, uint64(len(*v)))
		data = make([]byte, n+len(*v))
		copy(data, head[:n])
		copy(data[n:], *v)
		return data, true
	case *bool:
		if *v {
			return []byte{cborTrue}, true
		}
		return []byte{cborFalse}, true
	case *float64:
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			return nil, false // these have a shorter form
		}
		return binary.BigEndian.AppendUint64([]byte{cborFloat64}, math.Float64bits(*v)), true
	case *int:
		return encodeSigned(int64(*v)), true
	case *int64:
		return encodeSigned(*v), true
	case *int32:
		return encodeSigned(int64(*v)), true
	case *uint:
		return encodeHead(cborUnsigned, uint64(*v)), true
	case *uint64:
		return encodeHead(cborUnsigned, *v), true
	case *uint32:
		return encodeHead(cborUnsigned, uint64(*v)), true
	}
	return nil, false
}

// Of RFC 8949: major types, and initial bytes.
const (
	cborUnsigned = 0
	cborNegative = 1
	cborText     = 3

	cborFalse   = 0xf4
	cborTrue    = 0xf5
	cborFloat64 = 0xfb

	maxHead = 9
)

// cborHead reads a head with a length or number in its shortest form, and returns its
// size, or 0 if it is another.
func cborHead(data []byte) (major byte, n uint64, size int) {
	major, low := data[0]>>5, data[0]&31
	switch {
	case low < 24:
		return major, uint64(low), 1
	case low == 24 && len(data) >= 2:
		n, size = uint64(data[1]), 2
		if n < 24 {
			return 0, 0, 0
		}
	case low == 25 && len(data) >= 3:
		n, size = uint64(binary.BigEndian.Uint16(data[1:])), 3
		if n <= math.MaxUint8 {
			return 0, 0, 0
		}
	case low == 26 && len(data) >= 5:
		n, size = uint64(binary.BigEndian.Uint32(data[1:])), 5
		if n <= math.MaxUint16 {
			return 0, 0, 0
		}
	case low == 27 && len(data) >= 9:
		n, size = binary.BigEndian.Uint64(data[1:]), 9
		if n <= math.MaxUint32 {
			return 0, 0, 0
		}
	}
	return major, n, size
}

// cborContent returns what follows the head of a string that is all of the data.
func cborContent(data []byte, major byte) ([]byte, bool) {
	m, n, size := cborHead(data)
	if size == 0 || m != major || n != uint64(len(data)-size) {
		return nil, false
	}
	return data[size:], true
}

func decodeSigned[T int | int32 | int64](data []byte, v *T, least, most int64) bool {
	major, n, size := cborHead(data)
	if size != len(data) || major > cborNegative || n > math.MaxInt64 {
		return false
	}
	i := int64(n)
	if major == cborNegative {
		i = ^i
	}
	if i < least || i > most {
		return false
	}
	*v = T(i)
	return true
}

func decodeUnsigned[T uint | uint32 | uint64](data []byte, v *T, most uint64) bool {
	major, n, size := cborHead(data)
	if size != len(data) || major != cborUnsigned || n > most {
		return false
	}
	*v = T(n)
	return true
}

func encodeSigned(i int64) []byte {
	if i < 0 {
		return encodeHead(cborNegative, uint64(^i))
	}
	return encodeHead(cborUnsigned, uint64(i))
}

func encodeHead(major byte, n uint64) []byte {
	var head [maxHead]byte
	size := putHead(&head, major, n)
	return append(make([]byte, 0, size), head[:size]...)
}

// putHead writes a head in its shortest form and returns its size.
func putHead(head *[maxHead]byte, major byte, n uint64) int {
	major <<= 5
	switch {
	case n < 24:
		head[0] = major | byte(n)
		return 1
	case n <= math.MaxUint8:
		head[0], head[1] = major|24, byte(n)
		return 2
	case n <= math.MaxUint16:
		head[0] = major | 25
		binary.BigEndian.PutUint16(head[1:], uint16(n))
		return 3
	case n <= math.MaxUint32:
		head[0] = major | 26
		binary.BigEndian.PutUint32(head[1:], uint32(n))
		return 5
	}
	head[0] = major | 27
	binary.BigEndian.PutUint64(head[1:], n)
	return 9
}
