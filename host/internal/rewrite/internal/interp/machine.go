package interp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Value is a value on the operand stack. Only vectors use the second half. A number of
// 32 bits has zeros above.
type Value [2]uint64

// Trap is what ends a call that went wrong. Its words are those of the engine under test.
type Trap string

func (t Trap) Error() string { return string(t) }

// The traps.
const (
	Unreachable   Trap = "unreachable"
	OutsideMemory Trap = "out of bounds memory access"
	OutsideTable  Trap = "invalid table access"
	WrongType     Trap = "indirect call type mismatch"
	DivideByZero  Trap = "integer divide by zero"
	Overflow      Trap = "integer overflow"
	NotANumber    Trap = "invalid conversion to integer"
)

// Why a call ended that was not allowed to go on.
var (
	ErrFuel  = errors.New("the fuel is used up")
	ErrDepth = errors.New("calls are nested too deeply")
)

// Host is an imported function. Params and results are as the engine's host functions
// have them, so that a vector is two numbers.
type Host func(name string, t wasmbin.FuncType, params []uint64) (results []uint64)

// Limits bound what a machine does.
type Limits struct {
	Fuel  int64 // a call ends with ErrFuel when it has used more
	Later int   // and has come to so many further charges of nothing
	Calls int   // a call ends with ErrDepth when more calls than that are nested
	Pages int   // of a memory without a maximum
}

// Machine is an instance of a module.
type Machine struct {
	Used    int64 // fuel
	Deepest int   // calls that were nested
	Memory  []byte
	Globals []Value
	Table   []int // numbers of functions, or -1

	m        *Module
	limits   Limits
	host     Host
	depth    int
	later    int
	data     [][]byte // what memory.init copies
	elements [][]int  // what table.init copies
}

// New makes an instance. The start function has run when it returns.
func New(m *Module, host Host, limits Limits) (v *Machine, err error) {
	v = &Machine{m: m, host: host, limits: limits}
	defer v.ended(&err)
	for _, g := range m.globals {
		v.Globals = append(v.Globals, v.constant(g.Init))
	}
	for _, t := range m.tables {
		v.Table = slices.Repeat([]int{-1}, int(t.Min))
	}
	for _, mem := range m.memories {
		v.Memory = make([]byte, mem.Min*pageSize)
	}
	for i, e := range m.elements {
		var list []int
		for _, f := range e.Functions {
			list = append(list, int(f))
		}
		v.elements = append(v.elements, list)
		if e.Active() {
			v.tableInit(i, uint32(v.constant(e.Offset)[0]), 0, uint32(len(list)))
			v.elements[i] = nil
		}
	}
	for i, d := range m.data {
		v.data = append(v.data, d.Bytes)
		if d.Active() {
			v.memoryInit(i, uint32(v.constant(d.Offset)[0]), 0, uint32(len(d.Bytes)))
			// The specification drops the segment here. The engine under test does not.
		}
	}
	if m.start >= 0 {
		v.call(m.start, nil)
	}
	return v, nil
}

// Call calls an export. After an error the machine is as the call left it.
func (v *Machine) Call(export string, args []uint64) (results []uint64, err error) {
	f, ok := v.m.exports[export]
	if !ok {
		return nil, fmt.Errorf("no function %q", export)
	}
	defer v.ended(&err)
	v.depth = 0
	t := v.m.funcs[f].t
	return flat(t.Results, v.call(int(f), values(t.Params, args))), nil
}

func (v *Machine) ended(err *error) {
	switch e := recover().(type) {
	case nil:
	case Trap:
		*err = e
	case error:
		if e != ErrFuel && e != ErrDepth {
			panic(e)
		}
		*err = e
	default:
		panic(e)
	}
}

// values are arguments on the stack, flat the reverse.
func values(types []wasmbin.ValueType, flat []uint64) (list []Value) {
	for _, t := range types {
		var val Value
		val[0], flat = flat[0], flat[1:]
		if t == wasmbin.V128 {
			val[1], flat = flat[0], flat[1:]
		}
		list = append(list, val)
	}
	return list
}

func flat(types []wasmbin.ValueType, list []Value) (flat []uint64) {
	for i, t := range types {
		if flat = append(flat, list[i][0]); t == wasmbin.V128 {
			flat = append(flat, list[i][1])
		}
	}
	return flat
}

func (v *Machine) constant(x wasmbin.Expression) (val Value) {
	w := wasmbin.NewWalker(wasmbin.NewReader(x, 0))
	for w.Begin(); w.Next(); {
		switch w.Op {
		case wasmbin.OpI32Const, wasmbin.OpF32Const:
			val[0] = uint64(uint32(w.Value))
		case wasmbin.OpI64Const, wasmbin.OpF64Const:
			val[0] = uint64(w.Value)
		case wasmbin.OpV128Const:
			val = Value{binary.LittleEndian.Uint64(w.Sixteen()), binary.LittleEndian.Uint64(w.Sixteen()[8:])}
		case wasmbin.OpGlobalGet:
			val = v.Globals[w.First]
		}
	}
	return val
}

// charge takes fuel. What runs out ends before it does what it is charged for.
func (v *Machine) charge(units int64) {
	if v.Used += units; v.Used <= v.limits.Fuel {
		return
	}
	if v.later++; v.later > v.limits.Later || v.later > 1 && units > 0 {
		panic(ErrFuel)
	}
}

func (v *Machine) call(i int, args []Value) []Value {
	f := &v.m.funcs[i]
	if f.imported {
		return values(f.t.Results, v.host(v.m.imports[i].Name, f.t, flat(f.t.Params, args)))
	}
	if v.depth++; v.depth > v.limits.Calls {
		panic(ErrDepth)
	}
	v.Deepest = max(v.Deepest, v.depth)
	if !f.leaf {
		v.charge(f.region)
	}
	results := v.run(f, append(args, make([]Value, len(f.locals))...))
	v.depth--
	return results
}

const pageSize = 1 << 16

// pages is the most that the memory may have.
func (v *Machine) pages() uint64 {
	if l := v.m.memories[0]; l.Flags&wasmbin.HasMax != 0 && l.Max < uint64(v.limits.Pages) {
		return l.Max
	}
	return uint64(v.limits.Pages)
}

func (v *Machine) grow(pages uint32) uint32 {
	if pages <= 1<<16 {
		v.charge(rewrite.UnitsPerPage * int64(pages))
	}
	old := uint64(len(v.Memory)) / pageSize
	if old+uint64(pages) > v.pages() {
		return ^uint32(0)
	}
	v.Memory = append(v.Memory, make([]byte, uint64(pages)*pageSize)...)
	return uint32(old)
}

// span returns n bytes of memory, which must be there.
func (v *Machine) span(at uint64, n uint32) []byte {
	if at+uint64(n) > uint64(len(v.Memory)) {
		panic(OutsideMemory)
	}
	return v.Memory[at : at+uint64(n)]
}

func (v *Machine) memoryInit(segment int, to, from, n uint32) {
	if uint64(from)+uint64(n) > uint64(len(v.data[segment])) {
		panic(OutsideMemory)
	}
	copy(v.span(uint64(to), n), v.data[segment][from:])
}

func (v *Machine) tableInit(segment int, to, from, n uint32) {
	v.tableCopy(v.elements[segment], to, from, n)
}

func (v *Machine) tableCopy(source []int, to, from, n uint32) {
	if uint64(from)+uint64(n) > uint64(len(source)) || uint64(to)+uint64(n) > uint64(len(v.Table)) {
		panic(OutsideTable)
	}
	copy(v.Table[to:to+n], source[from:])
}
