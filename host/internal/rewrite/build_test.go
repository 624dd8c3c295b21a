package rewrite_test

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// building is a module that a test writes. Its functions are exported as f0, f1 and so
// on unless they are hidden; all of them are in the table.
type building struct {
	imports   []wasmbin.FuncType
	functions []fn
	globals   []wasmbin.ValueType
	hide      bool // exports only the last function
	noTable   bool
	pages     uint32
	custom    []string // names of custom sections
	names     []wasmbin.Naming
	change    func(m *wasmbin.Module) // at the end
}

// fn is a function.
type fn struct {
	params, results []wasmbin.ValueType
	locals          []wasmbin.Locals
	code            wasmbin.Code
}

// wasm returns the module in binary form.
func (b *building) wasm() []byte {
	m := new(wasmbin.Module)
	var types []wasmbin.FuncType
	typ := func(t wasmbin.FuncType) uint32 {
		types = append(types, t)
		return uint32(len(types) - 1)
	}
	var imports []wasmbin.Import
	for i, t := range b.imports {
		imports = append(imports, wasmbin.Import{Module: "env", Name: fmt.Sprint("i", i), Kind: wasmbin.KindFunction, Type: typ(t)})
	}
	var functions []wasmbin.Index
	var bodies []wasmbin.Body
	var exports []wasmbin.Export
	var all []uint32
	for i, f := range b.functions {
		functions = append(functions, wasmbin.Index(typ(wasmbin.FuncType{Params: f.params, Results: f.results})))
		bodies = append(bodies, f.code.Body(f.locals...))
		index := uint32(len(imports) + i)
		all = append(all, index)
		if !b.hide || i == len(b.functions)-1 {
			exports = append(exports, wasmbin.Export{Name: fmt.Sprint("f", i), Kind: wasmbin.KindFunction, Index: index})
		}
	}
	wasmbin.SetItems(m, wasmbin.SectionType, types)
	if len(imports) > 0 {
		wasmbin.SetItems(m, wasmbin.SectionImport, imports)
	}
	wasmbin.SetItems(m, wasmbin.SectionFunction, functions)
	n := uint64(len(all))
	var at wasmbin.Code
	at.I32(0)
	wasmbin.SetItems(m, wasmbin.SectionTable, []wasmbin.Table{{Type: wasmbin.FuncRef, Limits: wasmbin.Limits{Min: n + 8}}})
	wasmbin.SetItems(m, wasmbin.SectionMemory, []wasmbin.Memory{{Limits: wasmbin.Limits{Min: uint64(max(1, b.pages))}}})
	if len(b.globals) > 0 {
		var globals []wasmbin.Global
		for _, t := range b.globals {
			var zero wasmbin.Code
			if t == wasmbin.I64 {
				zero.I64(0)
			} else {
				zero.I32(0)
			}
			globals = append(globals, wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: t, Mutable: true}, Init: zero.Expression()})
		}
		wasmbin.SetItems(m, wasmbin.SectionGlobal, globals)
	}
	wasmbin.SetItems(m, wasmbin.SectionExport, exports)
	if !b.noTable {
		wasmbin.SetItems(m, wasmbin.SectionElement, []wasmbin.Elements{{Offset: at.Expression(), Functions: all}})
	}
	m.Set(wasmbin.SectionDataCount, wasmbin.AppendU32(nil, 1))
	wasmbin.SetItems(m, wasmbin.SectionCode, bodies)
	wasmbin.SetItems(m, wasmbin.SectionData, []wasmbin.Data{{Mode: wasmbin.DataPassive, Bytes: make([]byte, 1000)}})
	if b.names != nil {
		functions := wasmbin.Subsection{ID: wasmbin.NamesFunctions, Content: wasmbin.AppendItems(nil, b.names)}
		m.Set(wasmbin.SectionCustom, functions.Append(wasmbin.AppendBytes(nil, "name")))
	}
	for _, name := range b.custom {
		m.Set(wasmbin.SectionCustom, append(wasmbin.AppendBytes(nil, name), "content"...))
	}
	if b.change != nil {
		b.change(m)
	}
	return m.Append(nil)
}

// single is a module with one function, f0.
func single(f fn) []byte { return (&building{functions: []fn{f}}).wasm() }

// ops writes instructions: opcodes, each followed by its immediates as ints, an int64
// for an i64.const, a ValueType for the type of a block.
func ops(parts ...any) (c wasmbin.Code) {
	for i := 0; i < len(parts); i++ {
		switch p := parts[i].(type) {
		case wasmbin.Code:
			c.Code(p)
		case wasmbin.Opcode:
			c = p.Append(c)
		case wasmbin.ValueType:
			c = append(c, byte(p))
		case int64:
			c = wasmbin.AppendSigned(c, p)
		case int:
			if op, ok := parts[i-1].(wasmbin.Opcode); ok && op == wasmbin.OpI32Const {
				c = wasmbin.AppendSigned(c, int64(p))
			} else {
				c = wasmbin.AppendU32(c, uint32(p))
			}
		default:
			panic(p)
		}
	}
	return c
}

// Short names for tests.
const (
	block, loop, if_, els, end   = wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf, wasmbin.OpElse, wasmbin.OpEnd
	br, brIf, brTable, ret, call = wasmbin.OpBr, wasmbin.OpBrIf, wasmbin.OpBrTable, wasmbin.OpReturn, wasmbin.OpCall
	indirect, drop, unreachable  = wasmbin.OpCallIndirect, wasmbin.OpDrop, wasmbin.OpUnreachable
	get, set, tee                = wasmbin.OpLocalGet, wasmbin.OpLocalSet, wasmbin.OpLocalTee
	globalGet, globalSet         = wasmbin.OpGlobalGet, wasmbin.OpGlobalSet
	i32, i64                     = wasmbin.OpI32Const, wasmbin.OpI64Const
	add, sub, eqz                = wasmbin.OpI32Add, wasmbin.OpI32Sub, wasmbin.OpI32Eqz
	void                         = wasmbin.NoResult
)

// types is a list of value types.
func types(t ...wasmbin.ValueType) []wasmbin.ValueType { return t }

// sizes declares that many locals of a type.
func sizes(n int, t wasmbin.ValueType) []wasmbin.Locals {
	return []wasmbin.Locals{{Count: uint32(n), Type: t}}
}
