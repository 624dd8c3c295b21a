package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// mostRenewed bounds the code that renew adds: more values than there are registers are
// on the stack in any case.
const mostRenewed = 12

// renew writes, on the way to the hook, the values that a loop changes from one round
// to the next to their locals again, as new values. Otherwise the compiler sees
// that those of the loop outlive a call, and stores them to the stack in each round.
// Only locals that are read before they are written count: the others have no value
// that goes from round to round.
func (e *emitter) renew(p *point) {
	e.locals.begin(e.f, e.types[e.f.sig].Params)
	w := wasmbin.NewWalker(wasmbin.NewReader(e.f.body[p.end:], 0))
	for w.Begin(); w.Next(); {
		if w.Op.Layout() == wasmbin.LayoutLocal {
			e.locals.note(w.First, w.Op != wasmbin.OpLocalGet)
		}
	}
	renewed := 0
	for _, l := range e.locals.carried {
		if !e.locals.written(l) {
			continue
		}
		if renewed++; renewed > mostRenewed {
			return
		}
		e.renewLocal(l, e.locals.types[l])
	}
}

func (e *emitter) renewLocal(l uint32, t wasmbin.ValueType) {
	c := &e.code
	c.Op(wasmbin.OpLocalGet, l)
	switch t {
	case wasmbin.I32:
		c.I32(0)
		c.Op(wasmbin.OpI32Or)
	case wasmbin.I64:
		c.I64(0)
		c.Op(wasmbin.OpI64Or)
	case wasmbin.F32:
		c.Op(wasmbin.OpI32ReinterpretF32)
		c.Op(wasmbin.OpF32ReinterpretI32)
	case wasmbin.F64:
		c.Op(wasmbin.OpI64ReinterpretF64)
		c.Op(wasmbin.OpF64ReinterpretI64)
	}
	c.Op(wasmbin.OpLocalSet, l)
}

// locals are those of a function, and how a loop uses them. One is used for all
// functions and loops.
type locals struct {
	f       *function // whose types are here
	types   []wasmbin.ValueType
	loop    uint32
	seen    []uint32 // the loop that has read or written a local
	set     []uint32 // the loop that has written it
	carried []uint32 // what this loop reads before it writes it
}

// begin begins with a loop of a function.
func (l *locals) begin(f *function, params []wasmbin.ValueType) {
	l.loop++
	l.carried = l.carried[:0]
	if l.f == f {
		return
	}
	l.f, l.types = f, append(l.types[:0], params...)
	r := wasmbin.NewReader(f.body, 0)
	for groups := r.U32(); groups > 0; groups-- {
		for g := r.Locals(); g.Count > 0; g.Count-- {
			l.types = append(l.types, g.Type)
		}
	}
	for len(l.seen) < len(l.types) {
		l.seen, l.set = append(l.seen, 0), append(l.set, 0)
	}
}

func (l *locals) note(n uint32, written bool) {
	if l.seen[n] != l.loop {
		l.seen[n] = l.loop
		if !written {
			l.carried = append(l.carried, n)
		}
	}
	if written {
		l.set[n] = l.loop
	}
}

func (l *locals) written(n uint32) bool { return l.set[n] == l.loop }
