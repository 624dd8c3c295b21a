package modgen

import (
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// body is a function being written. Every piece of code that its methods write leaves
// the operand stack as it was, or one value higher.
type body struct {
	*generator
	code   wasmbin.Code
	self   int
	sig    wasmbin.FuncType
	locals []wasmbin.ValueType // with the parameters
	count  int                 // locals that loops count with, declared after all others
	labels [][]wasmbin.ValueType
	size   int  // what may still be written
	plain  bool // without calls and loops
}

func (g *generator) body(f int) wasmbin.Body {
	b := &body{generator: g, self: f, sig: g.types[g.funcs[f]], plain: g.n(10) < g.style.plain}
	b.size = g.between(1, 2*g.style.size)
	if b.plain {
		b.size = g.between(0, 30)
	}
	if g.oneIn(40) {
		b.size = 600
	}
	b.locals = slices.Clone(b.sig.Params)
	var groups []wasmbin.Locals
	for range g.n(5) {
		group := wasmbin.Locals{Count: uint32(g.n(4)), Type: g.valueType()}
		if g.oneIn(20) {
			group.Count = uint32(g.n(250))
		}
		groups = append(groups, group)
		for range group.Count {
			b.locals = append(b.locals, group.Type)
		}
	}
	b.labels = [][]wasmbin.ValueType{b.sig.Results}
	if next := f + 1; g.style.ladder && next < len(g.funcs) {
		b.call(next, 1, 0)
		b.call(next, 1, 0)
	}
	ended := b.statements(4)
	b.leave(b.sig.Results, ended)
	if b.count > 0 {
		groups = append(groups, wasmbin.Locals{Count: uint32(b.count), Type: wasmbin.I32})
	}
	return b.code.Body(groups...)
}

// leave pushes the results of a block. After a branch, any of the lower ones may be
// missing.
func (b *body) leave(results []wasmbin.ValueType, ended bool) {
	if ended && b.oneIn(2) {
		results = results[b.n(len(results)+1):]
	}
	for _, t := range results {
		b.value(t, 2)
	}
}

// take takes values off the stack.
func (b *body) take(types []wasmbin.ValueType) {
	for _, t := range slices.Backward(types) {
		if l, ok := b.local(t); ok && b.oneIn(2) {
			b.code.Op(wasmbin.OpLocalSet, l)
		} else {
			b.code.Op(wasmbin.OpDrop)
		}
	}
}

// local returns a local of a type. Those that count are not among them.
func (b *body) local(t wasmbin.ValueType) (uint32, bool) {
	if len(b.locals) == 0 {
		return 0, false
	}
	from := b.n(len(b.locals))
	for i := range b.locals {
		if at := (from + i) % len(b.locals); b.locals[at] == t {
			return uint32(at), true
		}
	}
	return 0, false
}

// counter returns a local that nothing else sets.
func (b *body) counter() uint32 {
	b.count++
	return uint32(len(b.locals) + b.count - 1)
}

// open begins a block, loop or if of a type whose parameters are on the stack.
func (b *body) open(op wasmbin.Opcode, t wasmbin.FuncType) {
	b.code = op.Append(b.code)
	switch {
	case len(t.Params)+len(t.Results) == 0 && !b.oneIn(8):
		b.code = append(b.code, byte(wasmbin.NoResult))
	case len(t.Params) == 0 && len(t.Results) == 1 && !b.oneIn(8):
		b.code = append(b.code, byte(t.Results[0]))
	default:
		b.code = wasmbin.AppendBlockType(b.code, 0, b.typeOf(t))
	}
	label := t.Results
	if op == wasmbin.OpLoop {
		label = t.Params
	}
	b.labels = append(b.labels, label)
}

func (b *body) end() {
	b.code.Op(wasmbin.OpEnd)
	b.labels = b.labels[:len(b.labels)-1]
}

// structure writes a block, loop or if with parameters, and leaves its results.
func (b *body) structure(t wasmbin.FuncType, depth int) {
	for _, p := range t.Params {
		b.value(p, depth-1)
	}
	switch {
	case b.oneIn(3) && !b.plain:
		b.loop(t, depth)
	case b.oneIn(2):
		b.value(wasmbin.I32, depth-1)
		b.open(wasmbin.OpIf, t)
		b.inside(t, depth)
		if !slices.Equal(t.Params, t.Results) || b.oneIn(2) {
			b.code.Op(wasmbin.OpElse)
			b.inside(t, depth)
		}
		b.end()
	default:
		b.open(wasmbin.OpBlock, t)
		b.inside(t, depth)
		b.end()
	}
}

// inside writes what is between the parameters and the results of a block.
func (b *body) inside(t wasmbin.FuncType, depth int) {
	switch {
	case b.oneIn(3) && slices.Equal(t.Params, t.Results):
		if !b.statements(depth-1) || b.oneIn(2) { // on top of them
			return
		}
		b.leave(t.Results, true)
	case b.oneIn(2):
		ended := b.statements(depth - 1)
		if b.take(t.Params); ended || !b.oneIn(2) {
			b.leave(t.Results, ended)
			return
		}
		b.leave(t.Results, b.statements(depth-1))
	default:
		b.take(t.Params)
		b.leave(t.Results, b.statements(depth-1))
	}
}

// loop writes a loop that ends after a few rounds, whatever branches back to it.
func (b *body) loop(t wasmbin.FuncType, depth int) {
	rounds := b.n(5)
	if b.oneIn(12) {
		rounds = b.n(200)
	}
	if b.style.endless && b.oneIn(3) {
		b.open(wasmbin.OpLoop, t)
		b.inside(t, depth)
		b.end()
		return
	}
	c := b.counter()
	b.code.I32(int32(rounds))
	b.code.Op(wasmbin.OpLocalSet, c)
	b.open(wasmbin.OpBlock, t)
	b.open(wasmbin.OpLoop, t)

	b.code.Op(wasmbin.OpLocalGet, c)
	b.code.Op(wasmbin.OpI32Eqz)
	b.open(wasmbin.OpIf, wasmbin.FuncType{})
	for _, r := range t.Results {
		b.value(r, 1)
	}
	b.code.Op(wasmbin.OpBr, 2)
	b.end()
	b.code.Op(wasmbin.OpLocalGet, c)
	b.code.I32(1)
	b.code.Op(wasmbin.OpI32Sub)
	b.code.Op(wasmbin.OpLocalSet, c)

	b.take(t.Params)
	ended := b.statements(depth - 1)
	if !ended && !b.oneIn(3) {
		for _, p := range t.Params {
			b.value(p, 1)
		}
		if b.oneIn(2) {
			b.value(wasmbin.I32, 2)
			b.code.Op(wasmbin.OpBrIf, 0)
			b.take(t.Params)
		} else {
			b.code.Op(wasmbin.OpBr, 0)
			ended = true
			b.afterBranch()
		}
	}
	b.leave(t.Results, ended)
	b.end()
	b.end()
}
