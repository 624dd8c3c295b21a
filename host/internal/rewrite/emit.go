package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// emitter writes the bodies of a metered module.
type emitter struct {
	*module
	fuel, depth uint32 // globals that are added
	hook        uint32
	chains      []int64          // of indirect calls, by type
	blocks      map[uint32]int64 // types of blocks with the results of a function, by its type
	report      *Report
	locals      locals

	// The function that is being written.
	f      *function
	code   wasmbin.Code
	read   int    // how much of its body has been copied
	length uint32 // the local for a length, and two more for other operands
	left   uint32 // the local for the fuel that is left, in a tight loop
}

// body appends the body of a function with what is added.
func (e *emitter) body(b []byte, f *function) []byte {
	e.f, e.code, e.read = f, e.code[:0], 0
	e.declare()
	if f.counted {
		e.report.Counted++
	}
	if entry := e.regions[f.regions.from]; f.leaf {
		e.report.Leaves++
	} else {
		e.entry(entry)
	}
	if f.counted {
		e.wrap()
	}
	for i := f.points.from; i < f.points.to; i++ {
		switch p := &e.points[i]; p.kind {
		case pointLoop:
			e.loop(p)
		case pointLength:
			e.report.Lengths++
			if p.short >= 0 {
				e.copy(p.at)
				if weight := p.short / BytesPerUnit; weight > 0 {
					e.charge(weight)
				}
				continue
			}
			if inPieces(p.op) {
				e.pieces(p)
				continue
			}
			e.copy(p.at)
			e.code.Op(wasmbin.OpLocalSet, e.length)
			e.chargeLength(p.op, e.length)
			e.code.Op(wasmbin.OpLocalGet, e.length)
		case pointIndirect:
			e.copy(p.at)
			e.checkDepth(e.chains[p.typ])
			e.copy(p.end)
			e.give(e.chains[p.typ])
			e.checkFuel()
			e.report.Indirect++
		case pointReturn:
			if f.counted { // to what follows the body
				e.copy(p.at)
				e.code.Op(wasmbin.OpBr, p.label)
				e.read = p.end
			}
		}
	}
	e.copy(len(f.body))
	if f.counted { // the end was that of the block
		e.give(f.chain)
		e.checkFuel()
		e.code.Op(wasmbin.OpEnd)
	}
	return wasmbin.AppendBytes(b, e.code)
}

// copy copies the body up to a position.
func (e *emitter) copy(to int) {
	e.code = append(e.code, e.f.body[e.read:to]...)
	e.read = to
}

// declare copies the declaration of the locals and adds those that are needed.
func (e *emitter) declare() {
	f := e.f
	var more []wasmbin.Locals
	next := f.locals
	add := func(t wasmbin.ValueType) uint32 {
		more = append(more, wasmbin.Locals{Count: 1, Type: t})
		next++
		return next - 1
	}
	if f.lengths > 0 {
		e.length = add(wasmbin.I32)
		if f.pieces {
			add(wasmbin.I32)
			add(wasmbin.I32)
		}
	}
	if f.tight {
		e.left = add(wasmbin.I64)
	}
	r := wasmbin.NewReader(f.body, 0)
	groups := r.U32()
	e.code = wasmbin.AppendU32(e.code, groups+uint32(len(more)))
	e.read = r.Offset()
	e.copy(f.code)
	for _, l := range more {
		e.code = l.Append(e.code)
	}
}

// wrap begins a block around the body, so that whatever leaves the function comes to
// what follows the block. Labels stay as they are: the block takes the place of the
// function as a target of branches.
func (e *emitter) wrap() {
	e.code = wasmbin.OpBlock.Append(e.code)
	switch results := e.types[e.f.sig].Results; len(results) {
	case 0:
		e.code = append(e.code, byte(wasmbin.NoResult))
	case 1:
		e.code = append(e.code, byte(results[0]))
	default:
		e.code = wasmbin.AppendBlockType(e.code, 0, e.blocks[e.f.sig])
	}
}
