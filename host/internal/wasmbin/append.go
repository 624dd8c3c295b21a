package wasmbin

// AppendU32 appends an unsigned LEB128 number in as few bytes as it takes.
func AppendU32(b []byte, n uint32) []byte { return AppendU64(b, uint64(n)) }

// AppendU64 appends an unsigned LEB128 number in as few bytes as it takes.
func AppendU64(b []byte, n uint64) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// AppendSigned appends a signed LEB128 number in as few bytes as it takes.
func AppendSigned(b []byte, n int64) []byte {
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// AppendBytes appends a length and that many bytes. This is the form of names,
// bodies of functions and contents of sections.
func AppendBytes[T ~[]byte | ~string](b []byte, content T) []byte {
	return append(AppendU32(b, uint32(len(content))), content...)
}

// AppendSection appends a section.
func AppendSection[T ~[]byte | ~string](b []byte, id byte, content T) []byte {
	return AppendBytes(append(b, id), content)
}

// AppendHeader appends the header that every module begins with.
func AppendHeader(b []byte) []byte { return append(b, header...) }
