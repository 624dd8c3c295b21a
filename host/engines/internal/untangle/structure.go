package untangle

import (
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// structured writes the regions as nested blocks and loops, for calls that begin with the
// first region. It fails if the jumps do not nest: if there is a way into a loop other
// than to its beginning.
//
// The order is that of Ramsey, "Beyond Relooper" (2022): a region is followed by those
// that it immediately dominates, each behind a block that the jumps to it leave.
func (o *form) structured() ([]instruction, bool) {
	g := newGraph(o)
	if !g.nests() {
		return nil, false
	}
	w := treeWriter{form: o, graph: g, out: append([]instruction(nil), o.start...)}
	if o.unwinds {
		w.open(wasmbin.OpBlock, outermost)
	}
	w.tree(0)
	return o.end(w.out), true
}

// treeWriter writes regions along the tree of dominators.
type treeWriter struct {
	*form
	*graph
	out    []instruction
	opened []purpose
}

// purpose is what an open block is for.
type purpose int

const (
	outermost purpose = -1 // is left to unwind
	inside    purpose = -2 // stands in a region
)

// before is the block behind which a region begins, and around the loop that begins with
// it.
func before(region int) purpose { return purpose(2 * region) }
func around(region int) purpose { return purpose(2*region + 1) }

func (w *treeWriter) open(op wasmbin.Opcode, p purpose) {
	w.out = append(w.out, instruction{op: op})
	w.opened = append(w.opened, p)
}

func (w *treeWriter) close() {
	w.opened = w.opened[:len(w.opened)-1]
	if last := len(w.out) - 1; w.out[last].is(wasmbin.OpBr, 0) && w.out[last].raw == nil {
		w.out = w.out[:last] // a jump to where the code goes on anyway
	}
	w.out = append(w.out, instruction{op: wasmbin.OpEnd})
}

// label returns the label of a block.
func (w *treeWriter) label(p purpose) uint32 {
	for n, opened := range slices.Backward(w.opened) {
		if opened == p {
			return uint32(len(w.opened) - 1 - n)
		}
	}
	panic("untangle: a jump goes to a region that is not enclosed")
}

func (w *treeWriter) tree(region int) {
	if w.loops[region] {
		w.open(wasmbin.OpLoop, around(region))
	}
	for _, child := range slices.Backward(w.children[region]) {
		w.open(wasmbin.OpBlock, before(child))
	}
	w.region(region)
	for _, child := range w.children[region] {
		w.close()
		w.tree(child)
	}
	if w.loops[region] {
		w.out = append(w.out, instruction{op: wasmbin.OpUnreachable}) // and not behind the loop
		w.close()
	}
}

func (w *treeWriter) region(region int) {
	for _, i := range w.regions[region] {
		switch i.op {
		case wasmbin.OpEnd:
			w.opened = w.opened[:len(w.opened)-1]
		case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
			w.opened = append(w.opened, inside)
		case opUnwind:
			i = instruction{op: wasmbin.OpBr, first: w.label(outermost)}
		case opUnwindIf:
			i = instruction{op: wasmbin.OpBrIf, first: w.label(outermost)}
		case opJump:
			i = w.jump(region, int(i.first))
		}
		w.out = append(w.out, i)
	}
	if w.falls[region] {
		w.out = append(w.out, w.jump(region, region+1))
	}
}

func (w *treeWriter) jump(from, to int) instruction {
	if w.number[to] <= w.number[from] {
		return instruction{op: wasmbin.OpBr, first: w.label(around(to))}
	}
	return instruction{op: wasmbin.OpBr, first: w.label(before(to))}
}
