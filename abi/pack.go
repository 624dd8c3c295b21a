package abi

import "encoding/binary"

// Pack makes a result from a region in the guest's memory. The region must lie below
// MaxMemory, or the result would be negative.
func Pack(ptr, length uint32) int64 { return int64(ptr)<<32 | int64(length) }

// Unpack is the opposite of Pack. The result must not be negative.
func Unpack(result int64) (ptr, length uint32) {
	return uint32(uint64(result) >> 32), uint32(uint64(result))
}

// Revision returns the revision of a value: its first eight bytes as a
// little-endian number, with zeros for bytes that a shorter value lacks.
func Revision(value []byte) uint64 {
	if len(value) >= RevisionSize {
		return binary.LittleEndian.Uint64(value)
	}
	var revision uint64
	for i, b := range value {
		revision |= uint64(b) << (8 * i)
	}
	return revision
}

// AppendPair appends one key and value to a list of the kind that session_open takes and
// session_describe returns: the key, a NUL, the value, a NUL. Neither may contain a NUL.
func AppendPair(list []byte, key, value string) []byte {
	list = append(list, key...)
	list = append(list, 0)
	list = append(list, value...)
	return append(list, 0)
}

// NextPair cuts the first pair off a list. ok is false at the end of the list. If rest is
// then not empty, what is left is not a pair.
func NextPair(list []byte) (key, value string, rest []byte, ok bool) {
	first := index0(list)
	if first < 0 {
		return "", "", list, false
	}
	second := index0(list[first+1:])
	if second < 0 {
		return "", "", list, false
	}
	second += first + 1
	return string(list[:first]), string(list[first+1 : second]), list[second+1:], true
}

// AppendRecord appends one record to a list of the kind that session_snapshot returns and
// session_restore takes.
func AppendRecord(list, key, value []byte, expiresMS int64) []byte {
	list = binary.LittleEndian.AppendUint32(list, uint32(len(key)))
	list = binary.LittleEndian.AppendUint32(list, uint32(len(value)))
	list = binary.LittleEndian.AppendUint64(list, uint64(expiresMS))
	list = append(list, key...)
	return append(list, value...)
}

// NextRecord cuts the first record off a list; key and value lie within it. ok is false
// at the end of the list. If rest is then not empty, what is left is not a record.
func NextRecord(list []byte) (key, value []byte, expiresMS int64, rest []byte, ok bool) {
	const header = 16
	if len(list) < header {
		return nil, nil, 0, list, false
	}
	keyLen, valueLen := uint64(binary.LittleEndian.Uint32(list)), uint64(binary.LittleEndian.Uint32(list[4:]))
	if keyLen+valueLen > uint64(len(list)-header) {
		return nil, nil, 0, list, false
	}
	expiresMS = int64(binary.LittleEndian.Uint64(list[8:]))
	body := list[header:]
	return body[:keyLen:keyLen], body[keyLen : keyLen+valueLen : keyLen+valueLen], expiresMS, body[keyLen+valueLen:], true
}

// AppendKey appends one key to a list of the kind that session_keys returns.
func AppendKey(list, key []byte) []byte {
	list = binary.LittleEndian.AppendUint32(list, uint32(len(key)))
	return append(list, key...)
}

// NextKey cuts the first key off a list; the key lies within it. ok is false at the end
// of the list. If rest is then not empty, what is left is not a key.
func NextKey(list []byte) (key, rest []byte, ok bool) {
	if len(list) < 4 {
		return nil, list, false
	}
	keyLen := uint64(binary.LittleEndian.Uint32(list))
	if keyLen > uint64(len(list)-4) {
		return nil, list, false
	}
	return list[4 : 4+keyLen : 4+keyLen], list[4+keyLen:], true
}

// AppendCursor appends the cursor that begins every chunk of session_keys and
// session_snapshot.
func AppendCursor(chunk []byte, cursor int64) []byte {
	return binary.LittleEndian.AppendUint64(chunk, uint64(cursor))
}

// CutCursor splits a chunk of session_keys or session_snapshot into the cursor of the
// next call (0 at the end) and the list behind it. ok is false if the chunk is too short
// to have a cursor.
func CutCursor(chunk []byte) (next int64, list []byte, ok bool) {
	if len(chunk) < 8 {
		return 0, nil, false
	}
	return int64(binary.LittleEndian.Uint64(chunk)), chunk[8:], true
}

func index0(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return -1
}
