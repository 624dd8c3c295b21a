package abi

// Pack makes a result of a region in the guest's memory. The region must lie
// below MaxMemory, or the result would be negative.
func Pack(ptr, length uint32) int64 { return int64(ptr)<<32 | int64(length) }

// Unpack is the opposite of Pack. The result must not be negative.
func Unpack(result int64) (ptr, length uint32) {
	return uint32(uint64(result) >> 32), uint32(uint64(result))
}

// Revision returns the revision of a value: its first eight bytes as a
// little-endian number, with zeros for bytes that a shorter value lacks.
func Revision(value []byte) uint64 {
	if len(value) >= RevisionSize {
		return uint64At(value)
	}
	var revision uint64
	for i, b := range value {
		revision |= uint64(b) << (8 * i)
	}
	return revision
}

// AppendPair appends one key and value of the list that session_open takes and
// session_describe gives: the key, a NUL, the value, a NUL. Neither may
// contain a NUL.
func AppendPair(list []byte, key, value string) []byte {
	list = append(list, key...)
	list = append(list, 0)
	list = append(list, value...)
	return append(list, 0)
}

// NextPair cuts the first pair off a list. It reports false at the end of the
// list, or, with rest not empty, where what is left is not a pair.
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

// AppendRecord appends one record of the form that session_snapshot gives and
// session_restore takes.
func AppendRecord(list, key, value []byte, expiresMS int64) []byte {
	list = appendUint32(list, uint32(len(key)))
	list = appendUint32(list, uint32(len(value)))
	list = appendUint32(list, uint32(uint64(expiresMS)))
	list = appendUint32(list, uint32(uint64(expiresMS)>>32))
	list = append(list, key...)
	return append(list, value...)
}

// NextRecord cuts the first record off a list; key and value lie within it. It
// reports false at the end of the list, or, with rest not empty, where what is
// left is not a record.
func NextRecord(list []byte) (key, value []byte, expiresMS int64, rest []byte, ok bool) {
	const header = 16
	if len(list) < header {
		return nil, nil, 0, list, false
	}
	keyLen, valueLen := uint64(uint32At(list, 0)), uint64(uint32At(list, 4))
	if keyLen+valueLen > uint64(len(list)-header) {
		return nil, nil, 0, list, false
	}
	expiresMS = int64(uint64(uint32At(list, 8)) | uint64(uint32At(list, 12))<<32)
	body := list[header:]
	return body[:keyLen:keyLen], body[keyLen : keyLen+valueLen : keyLen+valueLen], expiresMS, body[keyLen+valueLen:], true
}

// AppendKey appends one key of the form that session_keys gives.
func AppendKey(list, key []byte) []byte {
	list = appendUint32(list, uint32(len(key)))
	return append(list, key...)
}

// NextKey cuts the first key off a list; the key lies within it. It reports
// false at the end of the list, or, with rest not empty, where what is left is
// not a key.
func NextKey(list []byte) (key, rest []byte, ok bool) {
	if len(list) < 4 {
		return nil, list, false
	}
	keyLen := uint64(uint32At(list, 0))
	if keyLen > uint64(len(list)-4) {
		return nil, list, false
	}
	return list[4 : 4+keyLen : 4+keyLen], list[4+keyLen:], true
}

// AppendCursor appends the cursor that begins every chunk of session_keys and
// session_snapshot.
func AppendCursor(chunk []byte, cursor int64) []byte {
	chunk = appendUint32(chunk, uint32(uint64(cursor)))
	return appendUint32(chunk, uint32(uint64(cursor)>>32))
}

// CutCursor splits a chunk of session_keys or session_snapshot into the cursor
// to go on with (0 at the end) and the list behind it. It reports false for a
// chunk that is too short to have a cursor.
func CutCursor(chunk []byte) (next int64, list []byte, ok bool) {
	if len(chunk) < 8 {
		return 0, nil, false
	}
	return int64(uint64(uint32At(chunk, 0)) | uint64(uint32At(chunk, 4))<<32), chunk[8:], true
}

func appendUint32(b []byte, v uint32) []byte {
	return append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}

func uint32At(b []byte, i int) uint32 {
	b = b[i : i+4]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func uint64At(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

func index0(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return -1
}
