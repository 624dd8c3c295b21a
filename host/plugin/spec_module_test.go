package plugin_test

import (
	"slices"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// These types make a whole guest of the signatures in the specification, with a body
// of its own for each function.

// Value types and a few instructions, in their binary form.
const (
	typeI32, typeI64 = byte(wasmbin.I32), byte(wasmbin.I64)

	opEnd, opCall, opDrop  = byte(wasmbin.OpEnd), byte(wasmbin.OpCall), byte(wasmbin.OpDrop)
	opLocalGet             = byte(wasmbin.OpLocalGet)
	opI32Const, opI64Const = byte(wasmbin.OpI32Const), byte(wasmbin.OpI64Const)
	opI64ExtendI32         = 0xac
)

// specFunction is an import, or an exported function of the module.
type specFunction struct {
	module          string // of an import
	name            string
	params, results []byte
	body            []byte // without its end; nil for one that returns zeros
}

// specModule is a guest in the making.
type specModule struct {
	imports []specFunction
	exports []specFunction
	memory  []byte // the limits of each memory, after their number
	extra   map[byte][]byte
	data    []specData
}

type specData struct {
	offset int
	bytes  []byte
}

const (
	specPages  = 600     // of the memory: the largest chunk and the largest exchange buffer
	specBuffer = 1 << 16 // where the exchange buffer lies, behind the data
)

// export returns the function of a name, for changes.
func (m *specModule) export(name string) *specFunction {
	i := slices.IndexFunc(m.exports, func(f specFunction) bool { return f.name == name })
	if i < 0 {
		panic("no export " + name)
	}
	return &m.exports[i]
}

// without removes an export.
func (m *specModule) without(name string) {
	m.exports = slices.DeleteFunc(m.exports, func(f specFunction) bool { return f.name == name })
}

// returns makes a function return a number.
func (m *specModule) returns(name string, n int64) {
	m.export(name).body = append([]byte{opI64Const}, sleb(n)...)
}

// imported returns the index of an imported function, and imports it first if
// necessary.
func (m *specModule) imported(f specFunction) int {
	i := slices.IndexFunc(m.imports, func(g specFunction) bool { return g.module == f.module && g.name == f.name })
	if i >= 0 {
		return i
	}
	m.imports = append(m.imports, f)
	return len(m.imports) - 1
}

// text puts bytes into the memory and returns their place.
func (m *specModule) text(b []byte) (ptr int) {
	if n := len(m.data); n > 0 {
		ptr = m.data[n-1].offset + len(m.data[n-1].bytes)
	}
	m.data = append(m.data, specData{ptr, b})
	return ptr
}

func (m *specModule) bytes() []byte {
	var types []wasmbin.FuncType
	typeOf := func(f specFunction) uint32 {
		types = append(types, wasmbin.FuncType{Params: valueTypes(f.params), Results: valueTypes(f.results)})
		return uint32(len(types) - 1)
	}
	var (
		imports   []wasmbin.Import
		functions []wasmbin.Index
		exports   []wasmbin.Export
		code      []wasmbin.Body
		data      []wasmbin.Data
	)
	for _, f := range m.imports {
		imports = append(imports, wasmbin.Import{Module: f.module, Name: f.name, Type: typeOf(f)})
	}
	for i, f := range m.exports {
		functions = append(functions, wasmbin.Index(typeOf(f)))
		exports = append(exports, wasmbin.Export{Name: f.name, Index: uint32(len(m.imports) + i)})
		code = append(code, wasmbin.Code(f.code()).Body())
	}
	exports = append(exports, wasmbin.Export{Name: abi.ExportMemory, Kind: wasmbin.KindMemory})
	for _, d := range m.data {
		var offset wasmbin.Code
		offset.I32(int32(d.offset))
		data = append(data, wasmbin.Data{Offset: offset.Expression(), Bytes: d.bytes})
	}
	memory := m.memory
	if memory == nil {
		memory = append([]byte{1, 0}, uleb(specPages)...)
	}
	all := new(wasmbin.Module)
	wasmbin.SetItems(all, wasmbin.SectionType, types)
	wasmbin.SetItems(all, wasmbin.SectionImport, imports)
	wasmbin.SetItems(all, wasmbin.SectionFunction, functions)
	all.Set(wasmbin.SectionMemory, memory)
	wasmbin.SetItems(all, wasmbin.SectionExport, exports)
	wasmbin.SetItems(all, wasmbin.SectionCode, code)
	wasmbin.SetItems(all, wasmbin.SectionData, data)
	for id, content := range m.extra {
		all.Set(id, content)
	}
	return all.Append(nil)
}

func valueTypes(b []byte) []wasmbin.ValueType {
	types := make([]wasmbin.ValueType, len(b))
	for i, t := range b {
		types[i] = wasmbin.ValueType(t)
	}
	return types
}

func (f *specFunction) code() []byte {
	if f.body != nil {
		return f.body
	}
	var body []byte
	for _, r := range f.results {
		switch {
		case f.name == abi.ExportAlloc:
			body = append(append(body, opI32Const), sleb(specBuffer)...)
		case r == typeI32:
			body = append(body, opI32Const, 0)
		default:
			body = append(body, opI64Const, 0)
		}
	}
	return body
}
