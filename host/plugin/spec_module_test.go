package plugin_test

import (
	"slices"

	"github.com/waddle-sessions/waddle/abi"
)

// The following make a whole guest of the signatures that the specification
// gives, with a body of its own for each function.

// Value types and a few instructions, in their binary form.
const (
	typeI32, typeI64 = 0x7f, 0x7e

	opEnd, opCall, opDrop, opLocalGet, opI32Const, opI64Const = 0x0b, 0x10, 0x1a, 0x20, 0x41, 0x42
)

// specFunction is an import, or a function of the module that is exported.
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

// export returns the function of a name, to be changed.
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

// imported returns the index of an imported function, which it imports first if
// need be.
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
	var types, imports, functions, exports, code, data []byte
	count := 0
	typeOf := func(f specFunction) []byte {
		types = append(types, 0x60)
		types = append(append(types, uleb(len(f.params))...), f.params...)
		types = append(append(types, uleb(len(f.results))...), f.results...)
		count++
		return uleb(count - 1)
	}
	for _, f := range m.imports {
		imports = append(imports, named(f.module)...)
		imports = append(append(imports, named(f.name)...), 0)
		imports = append(imports, typeOf(f)...)
	}
	for i, f := range m.exports {
		functions = append(functions, typeOf(f)...)
		exports = append(append(exports, named(f.name)...), 0)
		exports = append(exports, uleb(len(m.imports)+i)...)
		body := append(append([]byte{0}, f.code()...), opEnd)
		code = append(append(code, uleb(len(body))...), body...)
	}
	exports = append(append(exports, named(abi.ExportMemory)...), 2, 0)
	for _, d := range m.data {
		data = append(append(append(data, 0, opI32Const), sleb(int64(d.offset))...), opEnd)
		data = append(append(data, uleb(len(d.bytes))...), d.bytes...)
	}
	memory := m.memory
	if memory == nil {
		memory = append([]byte{1, 0}, uleb(specPages)...)
	}
	all := map[byte][]byte{
		1: append(uleb(count), types...), 2: append(uleb(len(m.imports)), imports...),
		3: append(uleb(len(m.exports)), functions...), 5: memory,
		7: append(uleb(len(m.exports)+1), exports...), 10: append(uleb(len(m.exports)), code...),
		11: append(uleb(len(m.data)), data...),
	}
	var sections [][]byte
	// The order of sections; the tag section, 13, stands between memories and
	// globals.
	for _, id := range []byte{1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 10, 11} {
		content, ok := all[id]
		if more, wanted := m.extra[id]; wanted {
			content, ok = more, true
		}
		if ok {
			sections = append(sections, section(id, string(content)))
		}
	}
	return module(sections...)
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

func named(s string) []byte { return append(uleb(len(s)), s...) }

// sleb writes a signed number.
func sleb(n int64) (b []byte) {
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
