package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Stored data may have come from a visitor, for example as the value of an any,
// and a storage may return anything. Decoding it must not take more time and
// memory than its length justifies. Both decoders go over deeply nested parts,
// and over tags that enclose each other, several times, and turn two bytes into a
// few hundred. So the form of a value is checked before it is decoded, in one
// pass without recursion. It is checked before it is stored too, so that nothing
// is written that cannot be read.
const (
	// maxNesting is how deep arrays, maps, objects and tags may be nested.
	maxNesting = 1000

	// maxItems is how many elements, keys and values, at all depths together, a value
	// may have. Each takes up to about 200 bytes of memory.
	maxItems = 500_000

	// maxTags is how many CBOR tags may enclose each other directly. No Go type is
	// written with more than one.
	maxTags = 4

	// maxDigits is how long a JSON number may be. Making a big.Int of it takes time
	// quadratic in its length.
	maxDigits = 10_000

	// unbounded is the length up to which the form makes no difference.
	unbounded = 64
)

var (
	errTooDeep      = fmt.Errorf("arrays and maps are nested too deep: must be at most %d deep", maxNesting)
	errTooManyItems = fmt.Errorf("too many items: must be at most %d elements, keys and values; keep less in a session, or bytes that you encode yourself", maxItems)
	errTags         = fmt.Errorf("too many CBOR tags around one value: must be at most %d", maxTags)
	errIndefinite   = errors.New("a length in the CBOR is indefinite, which costs decoders too much: must be written in front")
	errTooLong      = fmt.Errorf("a number is too long: must be at most %d characters", maxDigits)
)

// boundCBOR returns an error if an encoded value is out of bounds. Whether it is
// CBOR at all is left to the decoder.
func boundCBOR(data []byte) error {
	var shallow [32]uint32
	left := append(shallow[:0], 1) // items still to come, by depth
	items, tags := 0, 0
	for len(data) > 0 {
		major, low := data[0]>>5, data[0]&31
		data = data[1:]
		n := uint64(low)
		switch {
		case low < 24:
		case low <= 27:
			size := 1 << (low - 24)
			if len(data) < size {
				return nil
			}
			var room [8]byte
			copy(room[8-size:], data)
			n = binary.BigEndian.Uint64(room[:])
			data = data[size:]
		case low == 31 && major >= 2 && major <= 5:
			return errIndefinite
		default:
			return nil
		}
		if items++; items > maxItems {
			return errTooManyItems
		}
		switch major {
		case 2, 3:
			if n > uint64(len(data)) {
				return nil
			}
			data = data[n:]
		case 4, 5:
			if n > maxItems {
				return errTooManyItems
			}
			if n *= uint64(major - 3); n == 0 {
				break
			}
			if len(left) > maxNesting {
				return errTooDeep
			}
			left, tags = append(left, uint32(n)), 0
			continue
		case 6:
			if tags++; tags > maxTags {
				return errTags
			}
			continue
		}
		tags = 0
		for left[len(left)-1]--; left[len(left)-1] == 0; left[len(left)-1]-- {
			if left = left[:len(left)-1]; len(left) == 0 {
				return nil
			}
		}
	}
	return nil
}

// boundJSON returns an error if an encoded value is out of bounds. Whether it is
// JSON at all is left to the decoder.
func boundJSON(data []byte) error {
	depth, items := 0, 1
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			i += textLength(data[i:])
		case c == '[' || c == '{':
			items++
			if depth++; depth > maxNesting {
				return errTooDeep
			}
		case c == ']' || c == '}':
			depth--
		case c == ',' || c == ':':
			items++
		case c >= '0' && c <= '9':
			first := i
			for i+1 < len(data) && ofNumber[data[i+1]] {
				i++
			}
			if i-first >= maxDigits {
				return errTooLong
			}
		}
		if items > maxItems {
			return errTooManyItems
		}
	}
	return nil
}

// ofNumber holds the characters that may follow the first digit of a number.
var ofNumber = [256]bool{'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true,
	'8': true, '9': true, '.': true, 'e': true, 'E': true, '+': true, '-': true}

// textLength returns where the text that begins with a quote ends.
func textLength(text []byte) int {
	end := bytes.IndexByte(text[1:], '"') + 1
	if end > 0 && bytes.IndexByte(text[:end], '\\') < 0 {
		return end
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}
