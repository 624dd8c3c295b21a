package plugintest

import (
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// told returns the module with a session_alloc that tells the guest by session_copied
// that it is a copy, once, after the first buffer was made, and with a session_open that
// answers what that answered if it was an error. To the guest, this is what a host does that
// copies it.
func told(wasm []byte) ([]byte, error) {
	p, err := takeApart(wasm)
	if err != nil {
		return nil, err
	}
	var functions [3]uint32
	for i, name := range []string{abi.ExportCopied, abi.ExportAlloc, abi.ExportOpen} {
		var ok bool
		if functions[i], ok = p.function(name); !ok {
			return nil, fmt.Errorf("%w: it does not export %s", errPatch, name)
		}
	}
	copied, alloc, open := functions[0], functions[1], functions[2]

	// A global for whether the guest was told, and one for what it answered.
	globals, err := wasmbin.Items(p.module, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPatch, err)
	}
	done := uint32(len(globals))
	answered := done + 1
	var zero32, zero64 wasmbin.Code
	zero32.I32(0)
	zero64.I64(0)
	wasmbin.SetItems(p.module, wasmbin.SectionGlobal, append(globals,
		wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: wasmbin.I32, Mutable: true}, Init: zero32.Expression()},
		wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: wasmbin.I64, Mutable: true}, Init: zero64.Expression()}))

	var allocating, opening wasmbin.Code
	locals(&allocating, 0)
	allocating.Op(wasmbin.OpCall, alloc)
	allocating.Op(wasmbin.OpGlobalGet, done)
	allocating.Op(wasmbin.OpI32Eqz)
	allocating.Block(wasmbin.OpIf, wasmbin.NoResult)
	allocating.I32(1)
	allocating.Op(wasmbin.OpGlobalSet, done)
	allocating.Op(wasmbin.OpCall, copied)
	allocating.Op(wasmbin.OpGlobalSet, answered)
	allocating.Op(wasmbin.OpEnd)

	opening.Op(wasmbin.OpGlobalGet, answered)
	opening.I64(0)
	opening.Op(wasmbin.OpI64GeS)
	opening.Op(wasmbin.OpGlobalGet, answered)
	opening.I64(int64(abi.Unsupported))
	opening.Op(wasmbin.OpI64Eq)
	opening.Op(wasmbin.OpI32Or)
	opening.Block(wasmbin.OpIf, wasmbin.I64)
	locals(&opening, 0, 1)
	opening.Op(wasmbin.OpCall, open)
	opening.Op(wasmbin.OpElse)
	opening.Op(wasmbin.OpGlobalGet, answered)
	opening.Op(wasmbin.OpEnd)

	if err := p.replace(abi.ExportAlloc, 0, allocating); err != nil {
		return nil, err
	}
	if err := p.replace(abi.ExportOpen, 0, opening); err != nil {
		return nil, err
	}
	return p.bytes(), nil
}
