package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// pieceSize is how much of memory an instruction copies or fills at once. Machine code
// that does not come back to Go holds up the whole process at the next garbage
// collection, and a gigabyte takes a tenth of a second. It is a multiple of BytesPerUnit,
// so that the pieces weigh as much as the whole.
const pieceSize = 1 << 20

// maxShort is the longest constant length that is charged without a check. It counts
// among what functions without a check charge.
const maxShort = 1 << 12

// The added functions that copy and fill in pieces have the hook's number and one or two
// more.
const (
	copyAfterHook = 1
	fillAfterHook = 2
)

// inPieces reports whether an instruction is done in pieces if its length is large. A
// memory.init is not: the module's size bounds it.
func inPieces(op wasmbin.Opcode) bool {
	return op == wasmbin.OpMemoryCopy || op == wasmbin.OpMemoryFill
}

// pieces writes a memory.copy or memory.fill, with its charge.
func (e *emitter) pieces(p *point) {
	c := &e.code
	e.copy(p.at)
	for i := range uint32(3) { // length, source or value, destination
		c.Op(wasmbin.OpLocalSet, e.length+i)
	}
	operands := func() {
		for i := range uint32(3) {
			c.Op(wasmbin.OpLocalGet, e.length+2-i)
		}
	}
	c.Op(wasmbin.OpLocalGet, e.length)
	c.I32(pieceSize)
	c.Op(wasmbin.OpI32GtU)
	c.Block(wasmbin.OpIf, wasmbin.NoResult)
	operands()
	if p.op == wasmbin.OpMemoryCopy {
		c.Op(wasmbin.OpCall, e.hook+copyAfterHook)
	} else {
		c.Op(wasmbin.OpCall, e.hook+fillAfterHook)
	}
	c.Op(wasmbin.OpElse)
	e.chargeLength(p.op, e.length)
	operands()
	e.copy(p.end)
	c.Op(wasmbin.OpEnd)
}

// pieceFunction is the body of the function that copies or fills in pieces. Its parameters
// are the operands.
func (e *emitter) pieceFunction(op wasmbin.Opcode) wasmbin.Body {
	const to, from, left, piece = 0, 1, 2, 3
	copies := op == wasmbin.OpMemoryCopy
	c := &e.code
	*c = (*c)[:0]
	get := func(locals ...uint32) {
		for _, l := range locals {
			c.Op(wasmbin.OpLocalGet, l)
		}
	}
	act := func() {
		if c.Op(op, 0); copies {
			*c = append(*c, 0)
		}
	}
	// Beyond the end of memory, nothing is written: the whole is charged, and fails.
	beyond := func(at uint32) {
		get(at)
		c.Op(wasmbin.OpI64ExtendU)
		get(left)
		c.Op(wasmbin.OpI64ExtendU)
		c.Op(wasmbin.OpI64Add)
		c.Op(wasmbin.OpMemorySize, 0)
		c.Op(wasmbin.OpI64ExtendU)
		c.I64(16)
		c.Op(wasmbin.OpI64Shl)
		c.Op(wasmbin.OpI64GtU)
		c.Block(wasmbin.OpIf, wasmbin.NoResult)
		e.chargeLength(op, left)
		get(to, from, left)
		act()
		c.Op(wasmbin.OpEnd)
	}
	if beyond(to); copies {
		beyond(from)
	}
	c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	get(left)
	c.I32(pieceSize)
	get(left)
	c.I32(pieceSize)
	c.Op(wasmbin.OpI32LtU)
	c.Op(wasmbin.OpSelect)
	c.Op(wasmbin.OpLocalSet, piece)
	e.chargeLength(op, piece)
	get(left, piece)
	c.Op(wasmbin.OpI32Sub)
	c.Op(wasmbin.OpLocalSet, left)
	move := func(locals ...uint32) {
		for _, l := range locals {
			get(l, piece)
			c.Op(wasmbin.OpI32Add)
			c.Op(wasmbin.OpLocalSet, l)
		}
	}
	if copies { // upwards from the end, or what is still to be copied may be overwritten
		get(to, from)
		c.Op(wasmbin.OpI32GtU)
		c.Block(wasmbin.OpIf, wasmbin.NoResult)
		get(to, left)
		c.Op(wasmbin.OpI32Add)
		get(from, left)
		c.Op(wasmbin.OpI32Add)
		get(piece)
		act()
		c.Op(wasmbin.OpElse)
		get(to, from, piece)
		act()
		move(to, from)
		c.Op(wasmbin.OpEnd)
	} else {
		get(to, from, piece)
		act()
		move(to)
	}
	get(left)
	c.Op(wasmbin.OpBrIf, 0)
	c.Op(wasmbin.OpEnd)
	return c.Body(wasmbin.Locals{Count: 1, Type: wasmbin.I32})
}
