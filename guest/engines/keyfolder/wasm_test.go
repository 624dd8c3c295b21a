package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

const memoryLimit = 64 << 20

func key(n uint64) []byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	h := sha256.Sum256(b[:])
	return h[:]
}

func value(revision uint64, size int) []byte {
	b := bytes.Repeat([]byte{byte(revision)}, size)
	binary.LittleEndian.PutUint64(b, revision)
	return b
}
