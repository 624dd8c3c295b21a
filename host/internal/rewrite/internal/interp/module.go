package interp

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Module is a module taken apart.
type Module struct {
	types    []wasmbin.FuncType
	funcs    []function
	imports  []wasmbin.Import
	globals  []wasmbin.Global
	tables   []wasmbin.Table
	memories []wasmbin.Memory
	exports  map[string]uint32 // of functions
	elements []wasmbin.Elements
	data     []wasmbin.Data
	start    int // or -1
}

type function struct {
	t        wasmbin.FuncType
	imported bool
	locals   []wasmbin.ValueType // without the parameters
	code     []instr
	region   int64 // the charge for the entry
	leaf     bool
}

// instr is an instruction.
type instr struct {
	wasmbin.Instruction
	labels []uint32         // of a branch table, the last one included
	bits   [2]uint64        // of a vector constant
	block  wasmbin.FuncType // of a block, loop or if
	end    int              // of a block, loop or if: where its end is
	other  int              // of an if: where its else is, or its end
	region int64            // of a loop: the charge for each time it is entered
}

// Parse takes a valid module apart.
func Parse(wasm []byte) (*Module, error) {
	w, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, err
	}
	m := &Module{exports: make(map[string]uint32), start: -1}
	p := parser{w: w}
	m.types = items(&p, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
	m.imports = items(&p, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	own := items(&p, wasmbin.SectionFunction, (*wasmbin.Reader).Index)
	m.tables = items(&p, wasmbin.SectionTable, (*wasmbin.Reader).Table)
	m.memories = items(&p, wasmbin.SectionMemory, (*wasmbin.Reader).Memory)
	m.globals = items(&p, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	exports := items(&p, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	m.elements = items(&p, wasmbin.SectionElement, (*wasmbin.Reader).Elements)
	bodies := items(&p, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	m.data = items(&p, wasmbin.SectionData, (*wasmbin.Reader).Data)
	if s := w.Section(wasmbin.SectionStart); s != nil {
		r := s.Reader()
		m.start = int(r.U32())
	}
	if p.err != nil {
		return nil, p.err
	}
	for _, e := range exports {
		if e.Kind == wasmbin.KindFunction {
			m.exports[e.Name] = e.Index
		}
	}
	for _, i := range m.imports {
		if i.Kind != wasmbin.KindFunction {
			return nil, fmt.Errorf("an import of a %s: the interpreter knows functions only", i.Kind)
		}
		m.funcs = append(m.funcs, function{t: m.types[i.Type], imported: true})
	}
	for i, body := range bodies {
		f := function{t: m.types[own[i]]}
		if err := m.decode(&f, body); err != nil {
			return nil, fmt.Errorf("function %d: %w", len(m.funcs), err)
		}
		m.funcs = append(m.funcs, f)
	}
	m.price()
	return m, nil
}

type parser struct {
	w   *wasmbin.Module
	err error
}

func items[T any](p *parser, id byte, read func(*wasmbin.Reader) T) []T {
	list, err := wasmbin.Items(p.w, id, read)
	if err != nil && p.err == nil {
		p.err = err
	}
	return list
}

// decode reads a body and finds where its blocks end.
func (m *Module) decode(f *function, body wasmbin.Body) error {
	w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
	for groups := w.Count("groups of locals"); groups > 0; groups-- {
		group := w.Locals()
		for range group.Count {
			f.locals = append(f.locals, group.Type)
		}
	}
	var open []int // blocks whose end is still to come
	for w.Begin(); w.Next(); {
		in := instr{Instruction: w.Instruction}
		at := len(f.code)
		switch in.Op {
		case wasmbin.OpBrTable:
			for range uint64(in.First) + 1 {
				in.labels = append(in.labels, w.Label())
			}
		case wasmbin.OpV128Const:
			for i, b := range w.Sixteen() {
				in.bits[i/8] |= uint64(b) << (8 * (i % 8))
			}
		case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
			in.block = m.blockType(&in)
			open = append(open, at)
		case wasmbin.OpElse:
			f.code[open[len(open)-1]].other = at
		case wasmbin.OpEnd:
			if len(open) > 0 {
				begin := &f.code[open[len(open)-1]]
				if begin.end = at; begin.other == 0 {
					begin.other = at
				}
				open = open[:len(open)-1]
			}
		}
		f.code = append(f.code, in)
	}
	return w.Err
}

func (m *Module) blockType(in *instr) wasmbin.FuncType {
	switch in.Type {
	case wasmbin.NoResult:
		return wasmbin.FuncType{}
	case 0:
		return m.types[in.Value]
	}
	return wasmbin.FuncType{Results: []wasmbin.ValueType{in.Type}}
}
