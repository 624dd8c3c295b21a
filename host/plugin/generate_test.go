package plugin_test

import "encoding/binary"

// The following write modules in binary form, where their text would be too
// large to keep.

func module(sections ...[]byte) []byte {
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		wasm = append(wasm, s...)
	}
	return wasm
}

func section(id byte, content string) []byte {
	return append(append([]byte{id}, uleb(len(content))...), content...)
}

func uleb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
