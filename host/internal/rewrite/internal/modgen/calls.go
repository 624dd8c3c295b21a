package modgen

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// callSomething calls a function and takes its results.
func (b *body) callSomething(depth int) bool {
	if b.plain {
		return b.setLocal(depth)
	}
	if len(b.tables) > 0 && b.oneIn(3) {
		t := b.n(len(b.types))
		b.indirect(t, depth)
		return false
	}
	f := b.n(len(b.funcs))
	b.call(f, depth, 0)
	return false
}

// called is a call whose first result is wanted.
func (b *body) called(t wasmbin.ValueType, depth int) {
	from := b.n(len(b.funcs))
	for i := range b.funcs {
		f := (from + i) % len(b.funcs)
		r := b.types[b.funcs[f]].Results
		if len(r) > 0 && r[0] == t && !b.plain {
			b.call(f, depth, 1)
			return
		}
	}
	b.simple(t)
}

// call calls a function and keeps the first result, or none. A function that may in turn
// call this one is called only while the gas lasts; without gas, something else takes the
// place of the result.
func (b *body) call(f, depth, keep int) {
	t := b.types[b.funcs[f]]
	guarded := f <= b.self && f >= b.imported
	if guarded {
		b.gasLeft()
		b.open(wasmbin.OpIf, wasmbin.FuncType{Results: t.Results[:keep]})
		b.burnGas()
	}
	for _, p := range t.Params {
		b.value(p, depth-1)
	}
	b.code.Op(wasmbin.OpCall, uint32(f))
	b.take(t.Results[keep:])
	if guarded {
		b.code.Op(wasmbin.OpElse)
		for _, r := range t.Results[:keep] {
			b.simple(r)
		}
		b.end()
	}
}

func (b *body) gasLeft() { b.code.Op(wasmbin.OpGlobalGet, b.gas) }

func (b *body) burnGas() {
	b.gasLeft()
	b.code.I32(1)
	b.code.Op(wasmbin.OpI32Sub)
	b.code.Op(wasmbin.OpGlobalSet, b.gas)
}

// indirect calls what the table has, which may be this function, nothing, or a function
// of another type.
func (b *body) indirect(t, depth int) {
	f := b.types[t]
	b.gasLeft()
	b.open(wasmbin.OpIf, wasmbin.FuncType{})
	b.burnGas()
	for _, p := range f.Params {
		b.value(p, depth-1)
	}
	switch {
	case b.oneIn(30):
		b.value(wasmbin.I32, depth-1)
	default:
		b.code.I32(int32(b.entry(t)))
	}
	b.code.Op(wasmbin.OpCallIndirect, uint32(t), 0)
	b.take(f.Results)
	b.end()
}

// entry returns a place in the table that has a function of the type at the start, if
// there is one.
func (b *body) entry(t int) int {
	for _, e := range b.elements {
		if !e.Active() {
			continue
		}
		r := wasmbin.NewReader(e.Offset[1:], 0)
		from := r.Signed(32)
		for i, f := range e.Functions {
			if b.types[b.funcs[f]].Equal(b.types[t]) && !b.oneIn(4) {
				return int(from) + i
			}
		}
	}
	return b.n(int(b.tableSize))
}
