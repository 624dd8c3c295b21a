// Package bundle unpacks the engines that are embedded in the program.
package bundle

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// Unpack decompresses a gzipped module.
func Unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("engines: the embedded module is damaged: %w", err)
	}
	wasm, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("engines: the embedded module is damaged: %w", err)
	}
	return wasm, nil
}
