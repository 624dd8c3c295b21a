package modgen

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// HostModule is the module that generated modules import functions from. The name of a
// function there says nothing. Its type is that of the import.
const HostModule = "env"

// Module is a generated module.
type Module struct {
	Wasm  []byte
	Calls []Call // of its exports, in this order
}

// Call is a call of an export. Args has two numbers for a vector.
type Call struct {
	Export string
	Args   []uint64
}

// New makes the module of a seed. The bytes in shape take the place of the first random
// decisions.
func New(seed uint64, shape []byte) Module {
	g := &generator{choices: newChoices(seed, shape)}
	return g.module()
}

// generator knows what a module declares. Bodies refer to it.
type generator struct {
	*choices
	types     []wasmbin.FuncType
	funcs     []int // the type of each function, imported ones first
	imported  int
	globals   []wasmbin.Global
	gas       uint32 // the global that bounds recursion
	tables    []wasmbin.Table
	memories  []wasmbin.Memory
	data      []wasmbin.Data
	elements  []wasmbin.Elements
	tableSize uint32
	style     style
}

// style is what the functions of a module have in common.
type style struct {
	size    int // of a body: statements and values
	plain   int // of ten functions, those without calls and loops
	vectors bool
	floats  bool
	endless bool // loops without a bound are allowed
	ladder  bool // each function calls the next one twice, first of all
}

func (g *generator) module() Module {
	g.style = style{size: pick(g.choices, []int{3, 10, 30, 80}), plain: g.n(8), vectors: g.oneIn(3), floats: g.oneIn(2),
		endless: g.oneIn(8), ladder: g.oneIn(25)}
	g.declareTypes()
	g.declareFunctions()
	g.declareGlobals()
	if !g.oneIn(6) {
		g.declareMemory()
	}
	if !g.oneIn(4) {
		g.declareTable()
	}

	m := new(wasmbin.Module)
	var imports []wasmbin.Import
	for _, t := range g.funcs[:g.imported] {
		imports = append(imports, wasmbin.Import{Module: HostModule, Name: name("h", len(imports)), Type: uint32(t)})
	}
	var own []wasmbin.Index
	var bodies []wasmbin.Body
	for f := g.imported; f < len(g.funcs); f++ {
		own = append(own, wasmbin.Index(g.funcs[f]))
		bodies = append(bodies, g.body(f))
	}
	exports, calls := g.exports()

	set(m, wasmbin.SectionType, g.types) // bodies have added to them
	set(m, wasmbin.SectionImport, imports)
	set(m, wasmbin.SectionFunction, own)
	set(m, wasmbin.SectionTable, g.tables)
	set(m, wasmbin.SectionMemory, g.memories)
	set(m, wasmbin.SectionGlobal, g.globals)
	set(m, wasmbin.SectionExport, exports)
	if f, ok := g.start(); ok {
		m.Set(wasmbin.SectionStart, wasmbin.AppendU32(nil, f))
	}
	set(m, wasmbin.SectionElement, g.elements)
	if len(g.data) > 0 {
		m.Set(wasmbin.SectionDataCount, wasmbin.AppendU32(nil, uint32(len(g.data))))
	}
	set(m, wasmbin.SectionCode, bodies)
	set(m, wasmbin.SectionData, g.data)
	g.customs(m)
	return Module{m.Append(nil), calls}
}

func set[T wasmbin.Item](m *wasmbin.Module, id byte, items []T) {
	if len(items) > 0 {
		wasmbin.SetItems(m, id, items)
	}
}

// name is a name for a number.
func name(prefix string, i int) string { return fmt.Sprintf("%s%02d", prefix, i) }

// valueType returns a type that the module's style allows.
func (g *generator) valueType() wasmbin.ValueType {
	switch n := g.n(12); {
	case n == 0 && g.style.vectors:
		return wasmbin.V128
	case n == 1 && g.style.floats:
		return wasmbin.F32
	case n == 2 && g.style.floats:
		return wasmbin.F64
	case n%3 == 0:
		return wasmbin.I64
	}
	return wasmbin.I32
}

func (g *generator) valueTypes(most int) []wasmbin.ValueType {
	list := make([]wasmbin.ValueType, 0, most)
	for range g.n(most + 1) {
		list = append(list, g.valueType())
	}
	return list
}

func (g *generator) declareTypes() {
	g.types = []wasmbin.FuncType{{}, {Results: []wasmbin.ValueType{wasmbin.I32}}}
	for range g.between(1, 6) {
		t := wasmbin.FuncType{Params: g.valueTypes(3), Results: g.valueTypes(2)}
		if g.oneIn(10) {
			t.Params = g.valueTypes(20)
		}
		if g.oneIn(10) {
			t.Results = g.valueTypes(20)
		}
		g.types = append(g.types, t)
	}
}

// typeOf returns the number of a type, which it adds if necessary.
func (g *generator) typeOf(t wasmbin.FuncType) int64 {
	for i := range g.types {
		if g.types[i].Equal(t) {
			return int64(i)
		}
	}
	g.types = append(g.types, t)
	return int64(len(g.types) - 1)
}

func (g *generator) declareFunctions() {
	g.imported = g.n(4)
	count := g.between(1, 8)
	switch {
	case g.style.ladder:
		count = g.between(6, 30)
	case g.oneIn(10):
		count = g.between(8, 40)
	case g.oneIn(100):
		count = g.between(120, 140) // where numbers begin to take two bytes
		g.style.size = 3
	}
	for range g.imported + count {
		g.funcs = append(g.funcs, g.n(len(g.types)))
	}
}

func (g *generator) declareGlobals() {
	count := g.n(5)
	if g.oneIn(40) {
		count = g.between(120, 130)
	}
	for range count {
		t := g.valueType()
		g.globals = append(g.globals, wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: t, Mutable: !g.oneIn(4)}, Init: g.constant(t).Expression()})
	}
	g.gas = uint32(len(g.globals))
	var init wasmbin.Code
	init.I32(int32(pick(g.choices, []int{1, 7, 30, 60, 150, 600})))
	g.globals = append(g.globals, wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: wasmbin.I32, Mutable: true}, Init: init.Expression()})
}

// constant returns code that pushes a constant.
func (g *generator) constant(t wasmbin.ValueType) (c wasmbin.Code) {
	switch t {
	case wasmbin.I32:
		c.I32(int32(g.bits()))
	case wasmbin.I64:
		c.I64(int64(g.bits()))
	case wasmbin.F32:
		c = append(wasmbin.OpF32Const.Append(c), little(g.bits(), 4)...)
	case wasmbin.F64:
		c = append(wasmbin.OpF64Const.Append(c), little(g.bits(), 8)...)
	case wasmbin.V128:
		c = append(wasmbin.OpV128Const.Append(c), little(g.bits(), 8)...)
		c = append(c, little(g.bits(), 8)...)
	}
	return c
}

func little(v uint64, bytes int) (b []byte) {
	for ; bytes > 0; bytes-- {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func (g *generator) start() (uint32, bool) {
	if !g.oneIn(4) {
		return 0, false
	}
	for f, t := range g.funcs {
		if g.types[t].Equal(wasmbin.FuncType{}) {
			return uint32(f), true
		}
	}
	return 0, false
}

// exports are some functions, at least one, and sometimes the rest of what there is. A
// function may have two names.
func (g *generator) exports() (exports []wasmbin.Export, calls []Call) {
	export := func(f int) {
		n := name("f", len(exports))
		exports = append(exports, wasmbin.Export{Name: n, Index: uint32(f)})
		for range g.between(1, 2) {
			call := Call{Export: n}
			for _, t := range g.types[g.funcs[f]].Params {
				if call.Args = append(call.Args, argument(t, g.bits())); t == wasmbin.V128 {
					call.Args = append(call.Args, g.bits())
				}
			}
			calls = append(calls, call)
		}
	}
	export(g.imported)
	for f := range g.funcs {
		if len(exports) < 8 && g.oneIn(5) {
			export(f)
		}
	}
	if len(g.memories) > 0 && g.oneIn(2) {
		exports = append(exports, wasmbin.Export{Name: "memory", Kind: wasmbin.KindMemory})
	}
	if len(g.tables) > 0 && g.oneIn(2) {
		exports = append(exports, wasmbin.Export{Name: "table", Kind: wasmbin.KindTable})
	}
	for i := range g.globals {
		if g.oneIn(4) {
			exports = append(exports, wasmbin.Export{Name: name("g", i), Kind: wasmbin.KindGlobal, Index: uint32(i)})
		}
	}
	return exports, calls
}

// argument is a value as a call takes it.
func argument(t wasmbin.ValueType, v uint64) uint64 {
	if t == wasmbin.I32 || t == wasmbin.F32 {
		return uint64(uint32(v))
	}
	return v
}

// customs adds custom sections, names among them.
func (g *generator) customs(m *wasmbin.Module) {
	if g.oneIn(3) {
		content := wasmbin.AppendBytes(nil, "name")
		var names []wasmbin.Naming
		for f := range g.funcs {
			if !g.oneIn(3) {
				names = append(names, wasmbin.Naming{Index: uint32(f), Name: name("function ", f)})
			}
		}
		content = wasmbin.Subsection{ID: wasmbin.NamesFunctions, Content: wasmbin.AppendItems(nil, names)}.Append(content)
		m.Set(wasmbin.SectionCustom, content)
	}
	for range g.n(3) {
		at := g.n(len(m.Sections) + 1)
		custom := wasmbin.Section{Content: append(wasmbin.AppendBytes(nil, "anything"), little(g.bits(), 8)...)}
		m.Sections = append(m.Sections[:at:at], append([]wasmbin.Section{custom}, m.Sections[at:]...)...)
	}
}
