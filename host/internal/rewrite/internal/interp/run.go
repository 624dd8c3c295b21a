package interp

import (
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// frame is a running function.
type frame struct {
	*Machine
	code   []instr
	pc     int
	locals []Value
	stack  []Value
	labels []label
}

// label is where a branch goes.
type label struct {
	at     int // the loop, or the end of the block
	loop   bool
	height int // of the stack beneath
	values int // that the branch takes along
}

func (f *frame) push(v uint64)     { f.stack = append(f.stack, Value{v}) }
func (f *frame) push32(v uint32)   { f.push(uint64(v)) }
func (f *frame) pushWhole(v Value) { f.stack = append(f.stack, v) }
func (f *frame) pop() uint64       { return f.popWhole()[0] }
func (f *frame) pop32() uint32     { return uint32(f.pop()) }
func (f *frame) top(n int) []Value { return f.stack[len(f.stack)-n:] }
func (f *frame) cut(n int) []Value { s := f.top(n); f.stack = f.stack[:len(f.stack)-n]; return s }
func (f *frame) popWhole() Value   { return f.cut(1)[0] }
func truth(b bool) (v uint32) {
	if b {
		v = 1
	}
	return v
}

func (v *Machine) run(fn *function, locals []Value) []Value {
	f := &frame{Machine: v, code: fn.code, locals: locals}
	f.labels = []label{{at: len(fn.code) - 1, values: len(fn.t.Results)}}
	for ; len(f.labels) > 0; f.pc++ {
		f.step(fn, &f.code[f.pc])
	}
	return f.top(len(fn.t.Results))
}

// branch goes to a label. A loop is entered again by its instruction.
func (f *frame) branch(out uint32) {
	i := len(f.labels) - 1 - int(out)
	l := f.labels[i]
	f.stack = append(f.stack[:l.height], f.top(l.values)...)
	if l.loop {
		f.labels, f.pc = f.labels[:i], l.at-1
	} else {
		f.labels, f.pc = f.labels[:i+1], l.at-1
	}
}

func (f *frame) enter(in *instr, at int, loop bool, values int) {
	f.labels = append(f.labels, label{at: at, loop: loop, height: len(f.stack) - len(in.block.Params), values: values})
}

func (f *frame) step(fn *function, in *instr) {
	switch op := in.Op; op {
	case wasmbin.OpUnreachable:
		panic(Unreachable)
	case wasmbin.OpNop:
	case wasmbin.OpBlock:
		f.enter(in, in.end, false, len(in.block.Results))
	case wasmbin.OpLoop:
		f.charge(in.region)
		f.enter(in, f.pc, true, len(in.block.Params))
	case wasmbin.OpIf:
		condition := f.pop32()
		if f.enter(in, in.end, false, len(in.block.Results)); condition == 0 {
			if f.pc = in.other; f.pc == in.end {
				f.pc--
			}
		}
	case wasmbin.OpElse: // the first part is done
		f.branch(0)
	case wasmbin.OpEnd:
		f.labels = f.labels[:len(f.labels)-1]
	case wasmbin.OpBr:
		f.branch(in.First)
	case wasmbin.OpBrIf:
		if f.pop32() != 0 {
			f.branch(in.First)
		}
	case wasmbin.OpBrTable:
		f.branch(in.labels[min(int(f.pop32()), len(in.labels)-1)])
	case wasmbin.OpReturn:
		f.branch(uint32(len(f.labels) - 1))
	case wasmbin.OpCall:
		f.callFunction(int(in.First))
	case wasmbin.OpCallIndirect:
		f.callIndirect(in)
	case wasmbin.OpDrop:
		f.pop()
	case wasmbin.OpSelect:
		condition := f.pop32()
		if two := f.cut(2); condition != 0 {
			f.pushWhole(two[0])
		} else {
			f.pushWhole(two[1])
		}
	case wasmbin.OpLocalGet:
		f.pushWhole(f.locals[in.First])
	case wasmbin.OpLocalSet:
		f.locals[in.First] = f.popWhole()
	case wasmbin.OpLocalTee:
		f.locals[in.First] = f.top(1)[0]
	case wasmbin.OpGlobalGet:
		f.pushWhole(f.Globals[in.First])
	case wasmbin.OpGlobalSet:
		f.Globals[in.First] = f.popWhole()
	case wasmbin.OpI32Const, wasmbin.OpF32Const:
		f.push32(uint32(in.Value))
	case wasmbin.OpI64Const, wasmbin.OpF64Const:
		f.push(uint64(in.Value))
	case wasmbin.OpV128Const:
		f.pushWhole(in.bits)
	case wasmbin.OpMemorySize:
		f.push32(uint32(len(f.Memory) / pageSize))
	case wasmbin.OpMemoryGrow:
		f.push32(f.grow(f.pop32()))
	default:
		if !f.bulk(in) && !f.access(in) && !f.integer(in.Op) && !f.other(in) {
			panic("the interpreter does not know " + op.String())
		}
	}
}

func (f *frame) callFunction(i int) {
	results := f.call(i, append([]Value(nil), f.cut(len(f.m.funcs[i].t.Params))...))
	f.stack = append(f.stack, results...)
	f.charge(0) // what runs out may also be stopped where a call returns
}

func (f *frame) callIndirect(in *instr) {
	at := f.pop32()
	if uint64(at) >= uint64(len(f.Table)) || f.Table[at] < 0 {
		panic(OutsideTable)
	}
	i := f.Table[at]
	if !f.m.funcs[i].t.Equal(f.m.types[in.First]) {
		panic(WrongType)
	}
	f.callFunction(i)
}

// bulk runs the operations on ranges, which are charged by length.
func (f *frame) bulk(in *instr) bool {
	switch in.Op {
	case wasmbin.OpDataDrop:
		f.data[in.First] = nil
		return true
	case wasmbin.OpElemDrop:
		f.elements[in.First] = nil
		return true
	case wasmbin.OpMemoryInit, wasmbin.OpMemoryCopy, wasmbin.OpMemoryFill, wasmbin.OpTableInit, wasmbin.OpTableCopy:
	default:
		return false
	}
	n, second, first := f.pop32(), f.pop32(), f.pop32()
	switch in.Op {
	case wasmbin.OpMemoryInit:
		f.charge(int64(n) / rewrite.BytesPerUnit)
		f.memoryInit(int(in.First), first, second, n)
	case wasmbin.OpMemoryCopy:
		f.charge(int64(n) / rewrite.BytesPerUnit)
		from := f.span(uint64(second), n)
		copy(f.span(uint64(first), n), from)
	case wasmbin.OpMemoryFill:
		f.charge(int64(n) / rewrite.BytesPerUnit)
		for i, span := 0, f.span(uint64(first), n); i < len(span); i++ {
			span[i] = byte(second)
		}
	case wasmbin.OpTableInit:
		f.charge(int64(n))
		f.tableInit(int(in.First), first, second, n)
	case wasmbin.OpTableCopy:
		f.charge(int64(n))
		f.tableCopy(f.Table, first, second, n)
	}
	return true
}
