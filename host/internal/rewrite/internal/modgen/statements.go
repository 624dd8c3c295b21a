package modgen

import (
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// statements writes some statements. It returns true if what follows cannot be reached,
// so that the stack has any type there.
func (b *body) statements(depth int) (ended bool) {
	count := b.between(0, 4)
	if len(b.labels) == 1 {
		count = 1 + b.size/4
	}
	for range count {
		if b.size <= 0 {
			break
		}
		ended = b.statement(depth) || ended
	}
	return ended
}

func (b *body) statement(depth int) (ended bool) {
	b.size--
	return statementKinds.pick(b.choices)(b, depth)
}

var statementKinds weighted[func(*body, int) bool]

func init() { // they refer to each other
	statementKinds = weighted[func(*body, int) bool]{
		{6, (*body).setLocal}, {3, (*body).setGlobal}, {4, (*body).store}, {1, (*body).discard}, {7, (*body).nested},
		{5, (*body).callSomething}, {3, (*body).branchIf}, {1, (*body).branchTable}, {1, (*body).branch},
		{2, (*body).bulkMemory}, {1, (*body).bulkTable}, {2, (*body).above}, {1, (*body).trap},
	}
}

func (b *body) setLocal(depth int) bool {
	t := b.valueType()
	if l, ok := b.local(t); ok {
		b.value(t, depth-1)
		b.code.Op(wasmbin.OpLocalSet, l)
	}
	return false
}

func (b *body) setGlobal(depth int) bool {
	if g := b.n(len(b.globals)); b.globals[g].Mutable && uint32(g) != b.gas {
		b.value(b.globals[g].Type, depth-1)
		b.code.Op(wasmbin.OpGlobalSet, uint32(g))
	}
	return false
}

func (b *body) discard(depth int) bool {
	b.value(b.valueType(), depth-1)
	b.code.Op(wasmbin.OpDrop)
	if b.oneIn(2) {
		b.code.Op(wasmbin.OpNop)
	}
	return false
}

func (b *body) nested(depth int) bool {
	if depth <= 0 {
		return b.setLocal(depth)
	}
	t := wasmbin.FuncType{}
	if b.oneIn(3) {
		t = wasmbin.FuncType{Params: b.valueTypes(2), Results: b.valueTypes(2)}
		if b.oneIn(3) {
			t.Results = t.Params
		}
	}
	b.structure(t, depth)
	b.take(t.Results)
	return false
}

// above writes statements with something beneath them on the stack, which branches from
// there discard.
func (b *body) above(depth int) bool {
	b.value(b.valueType(), depth-1)
	ended := b.statements(depth - 1)
	b.code.Op(wasmbin.OpDrop)
	return ended
}

// label returns a label and how far out it is.
func (b *body) label() (uint32, []wasmbin.ValueType) {
	out := b.n(len(b.labels))
	return uint32(out), b.labels[len(b.labels)-1-out]
}

func (b *body) branchIf(depth int) bool {
	l, types := b.label()
	for _, t := range types {
		b.value(t, depth-1)
	}
	b.value(wasmbin.I32, depth-1)
	b.code.Op(wasmbin.OpBrIf, l)
	b.take(types)
	return false
}

func (b *body) branch(depth int) bool {
	if b.oneIn(3) {
		for _, t := range b.sig.Results {
			b.value(t, depth-1)
		}
		b.code.Op(wasmbin.OpReturn)
	} else {
		l, types := b.label()
		for _, t := range types {
			b.value(t, depth-1)
		}
		b.code.Op(wasmbin.OpBr, l)
	}
	b.afterBranch()
	return true
}

func (b *body) branchTable(depth int) bool {
	last, types := b.label()
	var labels []uint32
	for range b.n(6) {
		if l, other := b.label(); slices.Equal(types, other) {
			labels = append(labels, l)
		}
	}
	for _, t := range types {
		b.value(t, depth-1)
	}
	b.value(wasmbin.I32, depth-1)
	if b.oneIn(2) {
		b.code.I32(7)
		b.code.Op(0x71) // and
	}
	b.code.Op(wasmbin.OpBrTable, append(append([]uint32{uint32(len(labels))}, labels...), last)...)
	b.afterBranch()
	return true
}

// trap writes a trap, most often one that happens only at times.
func (b *body) trap(depth int) bool {
	if b.oneIn(8) {
		b.code.Op(wasmbin.OpUnreachable)
		b.afterBranch()
		return true
	}
	b.value(wasmbin.I32, depth-1)
	b.code.I32(15)
	b.code.Op(0x71) // and
	b.code.Op(wasmbin.OpI32Eqz)
	b.code.Block(wasmbin.OpIf, wasmbin.NoResult)
	b.code.Op(wasmbin.OpUnreachable)
	b.code.Op(wasmbin.OpEnd)
	return false
}

// afterBranch writes instructions that are never reached. They take operands that
// nothing has pushed.
func (b *body) afterBranch() {
	for range b.n(4) {
		switch b.n(12) {
		case 0:
			b.code.Op(wasmbin.OpI32Add)
			b.code.Op(wasmbin.OpDrop)
		case 1:
			b.code.Op(wasmbin.OpSelect)
			b.code.Op(wasmbin.OpDrop)
		case 2:
			if len(b.locals) > 0 {
				b.code.Op(wasmbin.OpLocalSet, uint32(b.n(len(b.locals))))
			}
		case 3:
			f := b.n(len(b.funcs))
			if !b.plain {
				b.code.Op(wasmbin.OpCall, uint32(f))
				b.take(b.types[b.funcs[f]].Results)
			}
		case 4:
			if len(b.memories) > 0 {
				b.code.Op(wasmbin.OpMemoryGrow, 0)
				b.code.Op(wasmbin.OpDrop)
			}
		case 5:
			if len(b.memories) > 0 {
				b.code.Op(wasmbin.OpMemoryFill, 0)
				b.code.Op(wasmbin.OpMemoryCopy, 0, 0)
			}
		case 6:
			l, types := b.label()
			b.code.Op(wasmbin.OpBrIf, l)
			b.take(types)
		case 7:
			l, _ := b.label()
			b.code.Op(wasmbin.OpBr, l)
		case 8:
			l, _ := b.label()
			b.code.Op(wasmbin.OpBrTable, 1, l, l)
		case 9:
			b.code.Op(wasmbin.OpDrop)
			b.code.Op(wasmbin.OpReturn)
		case 10:
			if len(b.tables) > 0 && !b.plain {
				t := b.n(len(b.types))
				b.code.Op(wasmbin.OpCallIndirect, uint32(t), 0)
				b.take(b.types[t].Results)
			}
		case 11:
			if !b.plain {
				b.code.Block(wasmbin.OpLoop, wasmbin.NoResult)
				b.code.Op(wasmbin.OpUnreachable)
				b.code.Op(wasmbin.OpBr, uint32(b.n(len(b.labels)+1)))
				b.code.Op(wasmbin.OpEnd)
				b.code.Op(wasmbin.OpUnreachable)
			}
		}
	}
}
