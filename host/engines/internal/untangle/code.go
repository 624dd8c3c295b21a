package untangle

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// instruction is one of a function's. Those that nothing is known of, or that were not
// changed, are written as they were read.
type instruction struct {
	op     wasmbin.Opcode
	first  uint32 // index, label, or number of labels
	offset uint32 // of a load or store
	align  uint32
	value  int64
	labels []uint32 // of a branch table
	raw    []byte   // nil if it was changed or added
}

func (i *instruction) is(op wasmbin.Opcode, first uint32) bool { return i.op == op && i.first == first }

// untyped reports whether a block has no parameters and no results.
func (i *instruction) untyped() bool { return i.raw == nil || i.raw[1] == byte(wasmbin.NoResult) }

// append appends the instruction. Only those that this package makes have no raw bytes.
func (i *instruction) append(b []byte) []byte {
	if i.raw != nil {
		return append(b, i.raw...)
	}
	b = i.op.Append(b)
	switch i.op.Layout() {
	case wasmbin.LayoutNothing:
	case wasmbin.LayoutLocal, wasmbin.LayoutGlobal, wasmbin.LayoutLabel, wasmbin.LayoutFunction:
		b = wasmbin.AppendU32(b, i.first)
	case wasmbin.LayoutAddress:
		b = wasmbin.AppendU32(wasmbin.AppendU32(b, i.align), i.offset)
	case wasmbin.LayoutConst32, wasmbin.LayoutConst64:
		b = wasmbin.AppendSigned(b, i.value)
	case wasmbin.LayoutLabels:
		b = wasmbin.AppendU32(b, uint32(len(i.labels)-1))
		for _, label := range i.labels {
			b = wasmbin.AppendU32(b, label)
		}
	case wasmbin.LayoutBlockType:
		b = append(b, byte(wasmbin.NoResult))
	default:
		panic("untangle: " + i.op.String() + " is written without having been read")
	}
	return b
}

// function is the body of a function.
type function struct {
	locals []wasmbin.Locals
	code   []instruction // without the last end
}

func readFunction(body wasmbin.Body) (*function, error) {
	f := new(function)
	w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
	for n := w.Count("groups of locals"); n > 0 && w.Err == nil; n-- {
		f.locals = append(f.locals, w.Locals())
	}
	f.code = make([]instruction, 0, len(body)/2)
	for w.Begin(); w.Next(); {
		i := instruction{op: w.Op, first: w.First, offset: w.MemOffset, align: w.Align, value: w.Value}
		switch w.Op.Layout() {
		case wasmbin.LayoutLabels:
			for range uint64(w.First) + 1 {
				i.labels = append(i.labels, w.Label())
			}
		}
		i.raw = w.Raw()
		f.code = append(f.code, i)
	}
	if w.Err != nil {
		return nil, w.Err
	}
	if n := len(f.code); n == 0 || f.code[n-1].op != wasmbin.OpEnd {
		return nil, fmt.Errorf("the code has no end")
	}
	f.code = f.code[:len(f.code)-1]
	return f, nil
}

func (f *function) body() wasmbin.Body {
	b := wasmbin.AppendItems(nil, f.locals)
	for i := range f.code {
		b = f.code[i].append(b)
	}
	return wasmbin.OpEnd.Append(b)
}
