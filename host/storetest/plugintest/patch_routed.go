package plugintest

import (
	"encoding/binary"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// A host chooses which instance answers a call to a guest with remote, so a check cannot
// say that one instance writes and another reads. A module made by routed does not
// describe itself. The host then places its keys by their bytes, and those of a check
// begin with a header whose second byte is chosen so that the right instance is called.
// The guest never sees the header. A list for session_batch comes as the value of a
// session_set, which is not passed on: it then lies behind the header, where the next call finds it.
//
//	1 byte    the export that a session_get really calls
//	1 byte    makes the key belong to the instance
//	8 bytes   a number: an expiry, a cursor, a maximum, what session_set expects, or the length of a list
const headerSize = 10

// routedExport is the first byte of a header.
type routedExport byte

const (
	routedGet routedExport = iota
	routedDelete
	routedTouch
	routedClear
	routedSave
	routedSweep
	routedKeys
	routedSnapshot
	routedStats
	routedBatch
)

// routedExports are their names.
var routedExports = [...]string{routedGet: abi.ExportGet, routedDelete: abi.ExportDelete, routedTouch: abi.ExportTouch, routedClear: abi.ExportClear,
	routedSave: abi.ExportSave, routedSweep: abi.ExportSweep, routedKeys: abi.ExportKeys, routedSnapshot: abi.ExportSnapshot, routedStats: abi.ExportStats,
	routedBatch: abi.ExportBatch}

// routed returns the module with a session_get and a session_set that take such keys.
func routed(wasm []byte) ([]byte, error) {
	p, err := takeApart(wasm)
	if err != nil {
		return nil, err
	}
	set, ok := p.function(abi.ExportSet)
	if !ok {
		return nil, fmt.Errorf("%w: it does not export %s", errPatch, abi.ExportSet)
	}
	const ptr, length = 0, 1
	var key, number wasmbin.Code
	locals(&key, ptr)
	key.I32(headerSize)
	key.Op(wasmbin.OpI32Add)
	locals(&key, length)
	key.I32(headerSize)
	key.Op(wasmbin.OpI32Sub)
	locals(&number, ptr)
	number.Op(wasmbin.OpI64Load, 0, 2)

	const value, valueLength, expires, setNow = 2, 3, 4, 5
	var setting wasmbin.Code
	locals(&setting, ptr)
	setting.Op(wasmbin.OpI32Load8U, 0, 0)
	setting.I32(int32(routedBatch))
	setting.Op(wasmbin.OpI32Eq)
	setting.Block(wasmbin.OpIf, wasmbin.NoResult)
	setting.I64(0)
	setting.Op(wasmbin.OpReturn)
	setting.Op(wasmbin.OpEnd)
	setting.Code(key)
	locals(&setting, value, valueLength, expires, setNow)
	setting.Code(number)
	setting.Op(wasmbin.OpCall, set)

	if err := p.replace(abi.ExportGet, 1, p.choosing(key, number)); err != nil {
		return nil, err
	}
	if err := p.replace(abi.ExportSet, 0, setting); err != nil {
		return nil, err
	}
	p.drop(abi.ExportDescribe)
	p.drop(abi.ExportIdle) // nothing may come in between
	return p.bytes(), nil
}

// choosing returns the code of a session_get that calls the export that the header names.
func (p *patch) choosing(key, number wasmbin.Code) (code wasmbin.Code) {
	const ptr, now, chosen = 0, 2, 3
	var atNow, most, behind wasmbin.Code
	locals(&atNow, now)
	locals(&most, ptr)
	most.Op(wasmbin.OpI32Load, 0, 2)

	locals(&behind, ptr)
	behind.I32(headerSize)
	behind.Op(wasmbin.OpI32Add)

	locals(&code, ptr)
	code.Op(wasmbin.OpI32Load8U, 0, 0)
	code.Op(wasmbin.OpLocalSet, chosen)
	for to, arguments := range [...][]wasmbin.Code{
		routedGet: {key, atNow}, routedDelete: {key, atNow}, routedTouch: {key, number, atNow},
		routedClear: {atNow}, routedSave: {atNow}, routedSweep: {atNow, most},
		routedKeys: {number, atNow}, routedSnapshot: {number, atNow}, routedStats: nil,
		routedBatch: {behind, most},
	} {
		f, ok := p.function(routedExports[to])
		if !ok {
			continue
		}
		locals(&code, chosen)
		code.I32(int32(to))
		code.Op(wasmbin.OpI32Eq)
		code.Block(wasmbin.OpIf, wasmbin.NoResult)
		for _, a := range arguments {
			code.Code(a)
		}
		code.Op(wasmbin.OpCall, f)
		code.Op(wasmbin.OpReturn)
		code.Op(wasmbin.OpEnd)
	}
	code.I64(int64(abi.Unsupported))
	return code
}

// route returns a key with the header for a call of one of so many instances.
func route(to routedExport, instance, instances int, number int64, key []byte) []byte {
	routed := append(binary.LittleEndian.AppendUint64([]byte{byte(to), 0}, uint64(number)), key...)
	for b := range 256 {
		if routed[1] = byte(b); abi.ShardOf(routed, instances) == instance {
			return routed
		}
	}
	panic("plugintest: no key for this instance among 256")
}
