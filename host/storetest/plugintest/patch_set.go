package plugintest

import (
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// restoreKey is the key with which session_set, in a module made by direct, is
// really a session_restore of the value: direct also takes lists from keys, but a
// key is short.
var restoreKey = []byte{1}

// replaceSet makes session_set pass its value as a list to session_restore if the
// key is restoreKey.
func (p *patch) replaceSet() error {
	set, ok := p.function(abi.ExportSet)
	if !ok {
		return errPatch
	}
	const key, keyLength, value, length, now, expect = 0, 1, 2, 3, 5, 6
	var code wasmbin.Code
	equals := func(n int32) {
		code.I32(n)
		code.Op(wasmbin.OpI32Eq)
		code.Block(wasmbin.OpIf, wasmbin.NoResult)
	}
	if restore, ok := p.function(abi.ExportRestore); ok {
		locals(&code, keyLength)
		equals(int32(len(restoreKey)))
		locals(&code, key)
		code.Op(wasmbin.OpI32Load8U, 0, 0)
		equals(int32(restoreKey[0]))
		locals(&code, value, length, now)
		code.Op(wasmbin.OpCall, restore)
		code.Op(wasmbin.OpReturn)
		code.Op(wasmbin.OpEnd)
		code.Op(wasmbin.OpEnd)
	}
	for local := range uint32(expect + 1) {
		locals(&code, local)
	}
	code.Op(wasmbin.OpCall, set)
	return p.replace(abi.ExportSet, 0, code)
}

// withBytes returns the module with a session_open that writes a byte into the
// config, at each of the offsets from its start, before it passes it on.
func withBytes(wasm []byte, offsets []int, b byte) ([]byte, error) {
	p, err := takeApart(wasm)
	if err != nil {
		return nil, err
	}
	open, ok := p.function(abi.ExportOpen)
	if !ok {
		return nil, errPatch
	}
	var code wasmbin.Code
	for _, offset := range offsets {
		locals(&code, 0)
		code.I32(int32(offset))
		code.Op(wasmbin.OpI32Add)
		code.I32(int32(b))
		code.Op(wasmbin.OpI32Store8, 0, 0)
	}
	locals(&code, 0, 1)
	code.Op(wasmbin.OpCall, open)
	if err := p.replace(abi.ExportOpen, 0, code); err != nil {
		return nil, err
	}
	return p.bytes(), nil
}
