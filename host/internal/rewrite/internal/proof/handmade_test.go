package proof_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// handmade is a module of functions written by hand. The first one is exported.
type handmade struct {
	types     []wasmbin.FuncType // the first one is () -> ()
	imports   int                // of the first type
	functions []wasmbin.Index
	bodies    []wasmbin.Body
	table     []uint32
	args      []uint64
}

func newHandmade() *handmade { return &handmade{types: []wasmbin.FuncType{{}}} }

// typed returns the number of a type.
func (h *handmade) typed(params, results []wasmbin.ValueType) wasmbin.Index {
	h.types = append(h.types, wasmbin.FuncType{Params: params, Results: results})
	return wasmbin.Index(len(h.types) - 1)
}

func (h *handmade) add(t wasmbin.Index, c wasmbin.Code, locals ...wasmbin.Locals) {
	h.functions, h.bodies = append(h.functions, t), append(h.bodies, c.Body(locals...))
}

func (h *handmade) module() modgen.Module {
	m := new(wasmbin.Module)
	wasmbin.SetItems(m, wasmbin.SectionType, h.types)
	var imports []wasmbin.Import
	for i := range h.imports {
		imports = append(imports, wasmbin.Import{Module: modgen.HostModule, Name: fmt.Sprint("h", i)})
	}
	wasmbin.SetItems(m, wasmbin.SectionImport, imports)
	wasmbin.SetItems(m, wasmbin.SectionFunction, h.functions)
	if len(h.table) > 0 {
		wasmbin.SetItems(m, wasmbin.SectionTable, []wasmbin.Table{{Type: wasmbin.FuncRef, Limits: wasmbin.Limits{Min: uint64(len(h.table))}}})
		var zero wasmbin.Code
		zero.I32(0)
		wasmbin.SetItems(m, wasmbin.SectionElement, []wasmbin.Elements{{Offset: zero.Expression(), Functions: h.table}})
	}
	wasmbin.SetItems(m, wasmbin.SectionMemory, []wasmbin.Memory{{Limits: wasmbin.Limits{Min: 1}}})
	wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: "f", Index: uint32(h.imports)}})
	wasmbin.SetItems(m, wasmbin.SectionCode, h.bodies)
	call := modgen.Call{Export: "f", Args: h.args}
	return modgen.Module{Wasm: m.Append(nil), Calls: []modgen.Call{call, call}}
}

// weighing is code that weighs n and does nothing.
func weighing(n int) (c wasmbin.Code) {
	for w := int64(0); w < int64(n); w += rewrite.Weight(wasmbin.OpI32Const)*2 + rewrite.Weight(wasmbin.OpI32Add) + rewrite.Weight(wasmbin.OpDrop) {
		c.I32(7)
		c.I32(1)
		c.Op(wasmbin.OpI32Add)
		c.Op(wasmbin.OpDrop)
	}
	return c
}

func calls(functions ...uint32) (c wasmbin.Code) {
	for _, f := range functions {
		c.Op(wasmbin.OpCall, f)
	}
	return c
}

// handmades are modules at the bounds of what the rewriter decides.
func handmades() map[string]*handmade {
	all := make(map[string]*handmade)
	for n := rewrite.LeafWeight - 6; n <= rewrite.LeafWeight+6; n++ {
		h := newHandmade()
		h.add(0, calls(1, 2, 1, 2, 3))
		h.add(0, weighing(n))
		h.add(0, append(weighing(n-30), calls(3)...)) // a leaf only if all of it weighs little enough
		h.add(0, weighing(22))
		all[fmt.Sprintf("a leaf of %d", n)] = h
	}
	for _, n := range []uint32{0, 1, rewrite.LocalsPerUnit - 1, rewrite.LocalsPerUnit, rewrite.LocalsPerUnit + 1, 1000} {
		h := newHandmade()
		h.add(0, calls(1))
		h.add(0, weighing(1), wasmbin.Locals{Count: n, Type: wasmbin.I64})
		all[fmt.Sprintf("%d locals", n)] = h
	}
	for _, n := range []uint32{0, 1, rewrite.BytesPerUnit - 1, rewrite.BytesPerUnit, 4096, 65536, 65537, 1 << 20, 1<<20 + 1, 1 << 31, 1<<32 - 1} {
		h := newHandmade()
		var c wasmbin.Code
		for _, op := range []wasmbin.Opcode{wasmbin.OpMemoryFill, wasmbin.OpMemoryCopy} {
			c.I32(0)
			c.I32(0)
			c.I32(int32(n))
			if c.Op(op, 0); op == wasmbin.OpMemoryCopy {
				c = append(c, 0)
			}
		}
		h.add(0, c)
		all[fmt.Sprintf("lengths of %d", n)] = h
	}
	for _, n := range []uint32{0, 1, 14, 16, 65535, 65536, 65537, 1 << 31, 1<<32 - 1} {
		h := newHandmade()
		var c wasmbin.Code
		c.I32(int32(n))
		c.Op(wasmbin.OpMemoryGrow, 0)
		c.Op(wasmbin.OpDrop)
		h.add(0, c)
		all[fmt.Sprintf("%d pages more", n)] = h
	}

	// Each function calls the next one twice: four million calls, and still an end, if
	// nothing stops them.
	ladder := newHandmade()
	for f := range uint32(22) {
		ladder.add(0, calls(f+1, f+1))
	}
	ladder.add(0, nil)
	all["a ladder"] = ladder

	through := newHandmade() // the same by indirect calls
	for f := range uint32(22) {
		var c wasmbin.Code
		for range 2 {
			c.I32(int32(f + 1))
			c.Op(wasmbin.OpCallIndirect, 0, 0)
		}
		through.add(0, c)
		through.table = append(through.table, f)
	}
	through.add(0, nil)
	through.table = append(through.table, 22)
	all["a ladder of indirect calls"] = through

	wide := newHandmade() // few functions, many calls
	for f := range uint32(4) {
		var c wasmbin.Code
		for range 300 {
			c.Code(calls(f + 1))
		}
		wide.add(0, c)
	}
	wide.add(0, weighing(rewrite.LeafWeight+1))
	all["wide"] = wide

	// A recursion that calls what costs much, and does not check by itself, on its way back.
	for _, indirect := range []bool{false, true} {
		back := newHandmade()
		back.args = []uint64{150}
		f := back.typed([]wasmbin.ValueType{wasmbin.I32}, nil)
		var c wasmbin.Code
		c.Op(wasmbin.OpLocalGet, 0)
		c.Op(wasmbin.OpI32Eqz)
		c.Op(wasmbin.OpBrIf, 0)
		c.Op(wasmbin.OpLocalGet, 0)
		c.I32(1)
		c.Op(wasmbin.OpI32Sub)
		if indirect {
			c.I32(0)
			c.Op(wasmbin.OpCallIndirect, uint32(f), 0)
			back.table = []uint32{0}
		} else {
			c.Op(wasmbin.OpCall, 0)
		}
		c.Op(wasmbin.OpCall, 1)
		back.add(f, c)
		back.add(0, calls(slices.Repeat([]uint32{2}, 300)...)) // leaves, which take no stack
		back.add(0, weighing(60))
		all[fmt.Sprintf("work on the way back, indirect=%v", indirect)] = back
	}

	hosts := newHandmade()
	hosts.imports = 1
	hosts.add(0, calls(0, 2, 0))
	hosts.add(0, calls(0))
	hosts.table = []uint32{0, 2}
	var c wasmbin.Code
	c.I32(0)
	c.Op(wasmbin.OpCallIndirect, 0, 0)
	c.I32(1)
	c.Op(wasmbin.OpCallIndirect, 0, 0)
	hosts.add(0, c)
	hosts.bodies[0] = calls(0, 2, 3).Body()
	all["imported functions"] = hosts

	for name, t := range map[string]wasmbin.ValueType{"i32": wasmbin.I32, "i64": wasmbin.I64, "f32": wasmbin.F32, "f64": wasmbin.F64, "v128": wasmbin.V128} {
		all["loops that carry "+name] = carrying(t)
	}
	for _, results := range []int{0, 1, 2, 5} {
		all[fmt.Sprintf("recursion with %d results", results)] = recursive(results)
	}
	all["loops without weight"] = weightless()
	for _, t := range []wasmbin.ValueType{wasmbin.I32, wasmbin.I64, wasmbin.V128} {
		for _, n := range []int{1, 400} {
			all[fmt.Sprintf("recursion with %d values of %s", n, t)] = fat(t, n, false, false)
			all[fmt.Sprintf("recursion with %d locals of %s", n, t)] = fat(t, n, true, false)
			all[fmt.Sprintf("indirect recursion with %d values of %s", n, t)] = fat(t, n, false, true)
			all[fmt.Sprintf("recursion with %d parameters of %s", n, t)] = laden(t, min(n, 250))
		}
	}
	return all
}

// carrying has loops that swap two locals of a type from round to round, with parameters
// and without.
func carrying(t wasmbin.ValueType) *handmade {
	h := newHandmade()
	list := []wasmbin.ValueType{wasmbin.I32, t, t}
	h.args = []uint64{50, 1, 2}
	if t == wasmbin.V128 {
		h.args = []uint64{50, 1, 2, 3, 4}
	}
	f := h.typed(list, []wasmbin.ValueType{t, t, t})
	block := uint32(h.typed([]wasmbin.ValueType{t}, []wasmbin.ValueType{t}))
	var c wasmbin.Code
	swap := func() {
		c.Op(wasmbin.OpLocalGet, 1)
		c.Op(wasmbin.OpLocalGet, 2)
		c.Op(wasmbin.OpLocalSet, 1)
		c.Op(wasmbin.OpLocalSet, 2)
		c.Op(wasmbin.OpLocalGet, 0)
		c.I32(1)
		c.Op(wasmbin.OpI32Sub)
		c.Op(wasmbin.OpLocalTee, 0)
		c.Op(wasmbin.OpBrIf, 0)
	}
	c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	swap()
	c.Op(wasmbin.OpEnd)
	c.I32(31)
	c.Op(wasmbin.OpLocalSet, 0)
	c.Op(wasmbin.OpLocalGet, 1)
	c = wasmbin.AppendBlockType(wasmbin.OpLoop.Append(c), 0, int64(block))
	swap()
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpLocalGet, 1)
	c.Op(wasmbin.OpLocalGet, 2)
	h.add(f, c)
	return h
}

// recursive has two functions that call each other so many times as the argument says,
// and return in every way there is.
func recursive(results int) *handmade {
	h := newHandmade()
	types := make([]wasmbin.ValueType, results)
	for i := range types {
		types[i] = wasmbin.I32
	}
	h.args = []uint64{300}
	f := h.typed([]wasmbin.ValueType{wasmbin.I32}, types)
	values := func(c *wasmbin.Code, n int32) {
		for range results {
			c.I32(n)
		}
	}
	for i := range uint32(2) {
		var c wasmbin.Code
		c.Op(wasmbin.OpLocalGet, 0)
		c.Op(wasmbin.OpI32Eqz)
		c.Block(wasmbin.OpIf, wasmbin.NoResult)
		c.I32(99) // beneath the results
		values(&c, 1)
		c.Op(wasmbin.OpReturn)
		c.Op(wasmbin.OpEnd)
		c.Op(wasmbin.OpLocalGet, 0)
		c.I32(1)
		c.Op(wasmbin.OpI32Sub)
		c.Op(wasmbin.OpCall, 1-i)
		c.Op(wasmbin.OpLocalGet, 0)
		c.I32(3)
		c.Op(0x71) // and
		switch i {
		case 0:
			c.Op(wasmbin.OpBrIf, 0)
		case 1:
			c.Op(wasmbin.OpBrTable, 1, 0, 0)
		}
		h.add(f, c)
	}
	return h
}

// fat has a function that calls itself for ever, each time with so many values that it
// still needs afterwards, on the stack or in locals.
func fat(t wasmbin.ValueType, n int, locals, indirect bool) *handmade {
	h := newHandmade()
	load, store := wasmbin.OpI32Load, wasmbin.OpI32Store
	switch t {
	case wasmbin.I64:
		load, store = 0x29, 0x37
	case wasmbin.V128:
		load, store = wasmbin.Vector(0), wasmbin.Vector(11)
	}
	var c wasmbin.Code
	for i := range n {
		if !locals {
			c.I32(int32(i * 16)) // where it is stored afterwards
		}
		c.I32(int32(i * 16))
		if c.Op(load, 0, 0); locals {
			c.Op(wasmbin.OpLocalSet, uint32(i))
		}
	}
	if indirect {
		c.I32(0)
		c.Op(wasmbin.OpCallIndirect, 0, 0)
		h.table = []uint32{0}
	} else {
		c.Op(wasmbin.OpCall, 0)
	}
	for i := range n {
		if locals {
			c.I32(int32(i * 16))
			c.Op(wasmbin.OpLocalGet, uint32(i))
		}
		c.Op(store, 0, 0)
	}
	if locals {
		h.add(0, c, wasmbin.Locals{Count: uint32(n), Type: t})
	} else {
		h.add(0, c)
	}
	return h
}

// laden has two functions that call each other for ever with as many parameters as they
// return results.
func laden(t wasmbin.ValueType, n int) *handmade {
	h := newHandmade()
	types := slices.Repeat([]wasmbin.ValueType{t}, n)
	f := h.typed(types, types)
	var first wasmbin.Code
	for range n {
		switch t {
		case wasmbin.I32:
			first.I32(1)
		case wasmbin.I64:
			first.I64(1)
		default:
			first.I64(1)
			first.Op(wasmbin.Vector(18)) // splat
		}
	}
	first.Op(wasmbin.OpCall, 1)
	for range n {
		first.Op(wasmbin.OpDrop)
	}
	h.add(0, first)
	for i := range uint32(2) {
		var c wasmbin.Code
		for j := range uint32(n) {
			c.Op(wasmbin.OpLocalGet, uint32(n)-1-j)
		}
		c.Op(wasmbin.OpCall, 2-i)
		h.add(f, c)
	}
	return h
}

// weightless has loops whose own instructions weigh nothing, around one that goes on with
// the outermost.
func weightless() *handmade {
	h := newHandmade()
	h.args = []uint64{20}
	f := h.typed([]wasmbin.ValueType{wasmbin.I32}, nil)
	var c wasmbin.Code
	for range 3 {
		c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	}
	c.Op(wasmbin.OpLocalGet, 0)
	c.I32(1)
	c.Op(wasmbin.OpI32Sub)
	c.Op(wasmbin.OpLocalTee, 0)
	c.Op(wasmbin.OpBrIf, 2)
	for range 3 {
		c.Op(wasmbin.OpEnd)
	}
	h.add(f, c)
	return h
}

// TestHandmadeModules does with modules written by hand what TestRandomModules does.
func TestHandmadeModules(t *testing.T) {
	for name, h := range handmades() {
		t.Run(name, func(t *testing.T) {
			m := h.module()
			require.NoError(t, compiles(m.Wasm, guestFeatures))
			compare(t, m, 3, name, new(counts))
		})
	}
}
