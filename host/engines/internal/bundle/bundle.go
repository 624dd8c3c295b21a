// Package bundle holds the engines that are embedded in the program.
package bundle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// Pack compresses a module. It writes the module's SHA-256 sum into the header, so that a start that
// finds compiled code need not decompress it.
func Pack(wasm []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(wasm)
	w.Extra = sum[:]
	if _, err := w.Write(wasm); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// Unpack decompresses a module.
func Unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, damaged(err)
	}
	// Its length is at the end, and spares copying while the buffer grows. A wrong one does no harm.
	var length uint32
	if len(packed) > 4 {
		length = binary.LittleEndian.Uint32(packed[len(packed)-4:])
	}
	wasm := bytes.NewBuffer(make([]byte, 0, min(int(length), mostReserved)+bytes.MinRead))
	if _, err := wasm.ReadFrom(r); err != nil {
		return nil, damaged(err)
	}
	return wasm.Bytes(), nil
}

// mostReserved bounds what is believed of a length. No engine is larger.
const mostReserved = 16 << 20

// Module returns what [Pack] made as a module that is part of the program. If the header has no sum,
// it decompresses the module to find it.
func Module(packed []byte) (plugin.Embedded, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return plugin.Embedded{}, damaged(err)
	}
	m := plugin.Embedded{Unpack: func() ([]byte, error) { return Unpack(packed) }}
	if len(r.Extra) == sha256.Size {
		m.Sum = [sha256.Size]byte(r.Extra)
		return m, nil
	}
	wasm, err := m.Unpack()
	if err != nil {
		return plugin.Embedded{}, err
	}
	m.Sum = sha256.Sum256(wasm)
	return m, nil
}

func damaged(err error) error { return fmt.Errorf("engines: the embedded module is damaged: %w", err) }
