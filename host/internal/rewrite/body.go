package rewrite

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// function is a function that the module defines. Its regions, points and calls are
// parts of the module's lists. The first region is the entry.
type function struct {
	body     []byte
	code     int    // where the instructions begin
	locals   uint32 // and parameters
	sig      uint32 // its type
	regions  span
	points   span
	calls    span
	lengths  int   // instructions that are charged by length
	pieces   bool  // some of them may be done in pieces
	short    int64 // what instructions with short constant lengths charge
	indirect int   // indirect calls
	tight    bool  // has a tight loop
	imports  bool  // calls an imported function
	frame    int64 // bytes of stack: see stack.go

	leaf    bool
	counted bool  // takes its stack at the entry
	checked bool  // looks at the counter at the entry
	chain   int64 // bytes of stack up to the next functions that are counted
	reach   int64 // fuel that is charged up to the next check at most
}

// span is a part of a list.
type span struct{ from, to int }

// point is a place in a body where code is added.
type point struct {
	at, end int // of the instruction in the body; what charges a region is added at the end
	kind    pointKind
	op      wasmbin.Opcode // of an instruction that is charged by length
	short   int64          // the length, if it is a constant that is at most maxShort; or -1
	label   uint32         // of the function, seen from a return
	region  int            // that a loop begins, or that an indirect call is in
	typ     uint32         // of an indirect call
	tight   bool           // a loop without parameters, in which nothing else takes fuel
	params  bool           // a loop with parameters
}

type pointKind byte

const (
	pointLoop pointKind = iota
	pointLength
	pointIndirect
	pointReturn
)

// call is a direct call of a function that the module defines.
type call struct {
	region int
	callee uint32 // among the defined functions
}

// frame is an open block.
type frame struct {
	region  int  // around it
	arity   int  // values that its label takes
	loop    bool //
	sets    int  // of locals, before it
	branchy bool // something branches to its label
	point   int  // of a loop
}

// readBodies reads the code of all functions.
func (m *module) readBodies() error {
	defined := m.functions[m.imported:]
	s := m.Section(wasmbin.SectionCode)
	if s == nil {
		if len(defined) > 0 {
			return wasmbin.Malformed(0, "%d functions are declared and none has code", len(defined))
		}
		return nil
	}
	r := s.Reader()
	if n := r.Count("function bodies"); r.Err == nil && n != len(defined) {
		r.Fail("%d functions are declared and %d have code", len(defined), n)
	}
	if r.Err != nil {
		return r.Err
	}
	m.own = make([]function, len(defined))
	for i := range m.own {
		body := r.Sub(r.U32())
		m.own[i].sig = defined[i]
		if err := m.readBody(&m.own[i], body); err != nil {
			return fmt.Errorf("%w (function %d)", err, int(m.imported)+i)
		}
	}
	r.End()
	return r.Err
}

// readBody reads the code of one function, checks its indices and notes where code is
// to be added.
func (m *module) readBody(f *function, r wasmbin.Reader) error {
	if r.Err != nil {
		return r.Err
	}
	base := r.Offset()
	f.body = r.Rest()
	t := m.types[f.sig]
	w := wasmbin.NewWalker(r)
	declared := uint64(0)
	slots := slotsOf(t.Params) + slotsOf(t.Results)
	for groups := w.Count("groups of locals"); groups > 0 && w.Err == nil; groups-- {
		declared += uint64(w.Locals().Count)
	}
	if total := declared + uint64(len(t.Params)); total > maxLocals {
		w.Fail("%d locals: must be at most %d", total, maxLocals)
	} else {
		f.locals = uint32(total)
	}
	f.code = w.Offset() - base
	f.regions.from, f.points.from, f.calls.from = len(m.regions), len(m.points), len(m.calls)
	m.regions = append(m.regions, int64(declared/LocalsPerUnit))
	region, sets := f.regions.from, 0
	// busy notes that something in the innermost loop takes fuel besides.
	busy := func() {
		for i := len(m.frames) - 1; i > 0; i-- {
			if m.frames[i].loop {
				m.points[m.frames[i].point].tight = false
			}
		}
	}
	m.frames = append(m.frames[:0], frame{region: region, arity: len(t.Results)})
	outgoing := int64(0)
	short := int64(-1) // the constant that has just been pushed
	for w.Begin(); w.Next(); {
		weight := Weight(w.Op)
		slots += int64(slotSizes[w.Op])
		at := w.At - base
		switch w.Op.Layout() {
		case wasmbin.LayoutNothing:
			switch w.Op {
			case wasmbin.OpEnd:
				last := m.frames[len(m.frames)-1]
				region = last.region
				f.tight = f.tight || last.loop && m.points[last.point].tight
				m.frames = m.frames[:len(m.frames)-1]
				if last.branchy {
					slots += 8 * int64(min(sets-last.sets, int(f.locals)))
				}
			case wasmbin.OpReturn:
				weight += int64(len(t.Results))
				m.frames[0].branchy = true
				m.points = append(m.points, point{at: at, end: w.Offset() - base, kind: pointReturn, label: uint32(len(m.frames) - 1)})
			}
		case wasmbin.LayoutBlockType:
			params, results, s := m.blockType(&w)
			slots += s
			weight += int64(params + results)
			fr := frame{region: region, arity: results, sets: sets, branchy: w.Op == wasmbin.OpIf}
			if w.Op == wasmbin.OpLoop {
				busy()
				fr.arity, fr.loop, fr.point = params, true, len(m.points)
				m.regions[region] += weight
				weight, region = 0, len(m.regions)
				m.regions = append(m.regions, 0)
				m.points = append(m.points, point{at: at, end: w.Offset() - base, kind: pointLoop, region: region, tight: params == 0, params: params > 0})
			}
			m.frames = append(m.frames, fr)
		case wasmbin.LayoutLabel:
			weight += int64(m.label(&w, w.First))
		case wasmbin.LayoutLabels:
			arity := 0
			for n := uint64(w.First) + 1; n > 0 && w.Err == nil; n-- {
				arity = m.label(&w, w.Label())
			}
			weight += int64(arity)
		case wasmbin.LayoutFunction:
			if uint64(w.First) >= uint64(len(m.functions)) {
				w.Fail("function %d, and there are %d", w.First, len(m.functions))
				break
			}
			if w.Op != wasmbin.OpCall {
				m.reachable[w.First], m.indirect[w.First] = true, true
				break
			}
			callee := m.types[m.functions[w.First]]
			outgoing = max(outgoing, slotsOf(callee.Params)+slotsOf(callee.Results))
			slots += slotsOf(callee.Results)
			weight += int64(len(callee.Params) + len(callee.Results))
			busy() // an imported function may take fuel, too
			if w.First < m.imported {
				weight += ImportWeight
				f.imports = true
			} else {
				m.calls = append(m.calls, call{region, w.First - m.imported})
			}
		case wasmbin.LayoutTypeAndTable:
			if uint64(w.First) >= uint64(len(m.types)) {
				w.Fail("type %d, and there are %d", w.First, len(m.types))
				break
			}
			callee := m.types[w.First]
			outgoing = max(outgoing, slotsOf(callee.Params)+slotsOf(callee.Results))
			slots += slotsOf(callee.Results)
			weight += int64(len(callee.Params) + len(callee.Results))
			f.indirect++
			busy()
			m.points = append(m.points, point{at: at, end: w.Offset() - base, kind: pointIndirect, typ: w.First, region: region})
		case wasmbin.LayoutLocal:
			if w.First >= f.locals {
				w.Fail("local %d, and there are %d", w.First, f.locals)
			}
			if w.Op != wasmbin.OpLocalGet {
				sets++
			}
		case wasmbin.LayoutGlobal:
			if w.First >= m.globals {
				w.Fail("global %d, and there are %d", w.First, m.globals)
			}
		}
		if byLength(w.Op) {
			f.lengths++
			busy()
			p := point{at: at, end: w.Offset() - base, kind: pointLength, op: w.Op, short: -1}
			if inPieces(w.Op) {
				if w.First != 0 || w.Second != 0 {
					w.Fail("an instruction on another memory than the first")
				}
				if p.short = short; short < 0 {
					f.pieces, m.pieces = true, true
					outgoing = max(outgoing, pieceFrame)
				} else {
					f.short += short / BytesPerUnit
				}
			}
			m.points = append(m.points, p)
		}
		if short = -1; w.Op == wasmbin.OpI32Const && w.Value >= 0 && w.Value <= maxShort {
			short = w.Value
		}
		m.regions[region] += weight
	}
	w.End()
	f.regions.to, f.points.to, f.calls.to = len(m.regions), len(m.points), len(m.calls)
	f.frame = frameBase + slots + outgoing
	return w.Err
}

// label returns how many values a label takes.
func (m *module) label(w *wasmbin.Walker, label uint32) int {
	if uint64(label) >= uint64(len(m.frames)) {
		w.Fail("label %d, and there are %d", label, len(m.frames))
		return 0
	}
	f := &m.frames[len(m.frames)-1-int(label)]
	f.branchy = true
	return f.arity
}

// blockType returns how many parameters and results a block has, and what they take on
// the stack.
func (m *module) blockType(w *wasmbin.Walker) (params, results int, slots int64) {
	switch {
	case w.Type == wasmbin.NoResult || w.Err != nil:
		return 0, 0, 0
	case w.Type != 0:
		return 0, 1, slotOf(w.Type)
	case uint64(w.Value) >= uint64(len(m.types)):
		w.Fail("type %d of a block, and there are %d", w.Value, len(m.types))
		return 0, 0, 0
	}
	t := m.types[w.Value]
	return len(t.Params), len(t.Results), slotsOf(t.Params) + slotsOf(t.Results)
}

// maxLocals bounds the locals of a function, which are numbered with 32 bits.
const maxLocals = 50_000
