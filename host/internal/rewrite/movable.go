package rewrite

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// MaxMovable is how many mutable globals a module may have at most whose state is to be
// moved. A host reads and sets each of them whenever it puts other state on an instance,
// and charges nobody for that. Toolchains make up to 20.
const MaxMovable = 128

// maxPages is how many pages a memory has at most.
const maxPages = 1 << 16

// findState says in the report what the state of a module's instances is made of, or why
// it cannot be moved from one to another. It is called before anything is added: the
// counters of a metered module belong to a call, and not to the state, since the host sets them
// when a call begins.
func findState(m *wasmbin.Module, r *Report) error {
	s := state{report: r}
	for _, part := range []func(*wasmbin.Module) error{s.imports, s.memory, s.globals, s.code} {
		if err := part(m); err != nil {
			return err
		}
	}
	if r.Fixed != "" {
		r.Movable, r.MaxMemory = nil, 0
	}
	return nil
}

// makeMovable exports the globals that were found, and lifts the maximum of the memory.
func makeMovable(m *wasmbin.Module, r *Report) error {
	exports, err := wasmbin.Items(m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	if err != nil {
		return err
	}
	for _, index := range r.Movable {
		exports = append(exports, wasmbin.Export{Name: GlobalExport(index), Kind: wasmbin.KindGlobal, Index: index})
	}
	wasmbin.SetItems(m, wasmbin.SectionExport, exports)
	memories, err := wasmbin.Items(m, wasmbin.SectionMemory, (*wasmbin.Reader).Memory)
	if err != nil {
		return err
	}
	memories[0].Flags &^= wasmbin.HasMax
	wasmbin.SetItems(m, wasmbin.SectionMemory, memories)
	return nil
}

// state finds out what can be moved.
type state struct {
	report   *Report
	imported uint32 // globals
}

// fixed notes the first reason why the state cannot be moved.
func (s *state) fixed(format string, args ...any) {
	if s.report.Fixed == "" {
		s.report.Fixed = fmt.Sprintf(format, args...)
	}
}

// imports looks at what other instances could change.
func (s *state) imports(m *wasmbin.Module) error {
	imports, err := wasmbin.Items(m, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	for _, i := range imports {
		switch i.Kind {
		case wasmbin.KindGlobal:
			s.imported++
			if i.Global.Mutable {
				s.fixed("it imports the mutable global %q of %q", i.Name, i.Module)
			}
		case wasmbin.KindMemory:
			s.fixed("it imports its memory, %q of %q", i.Name, i.Module)
		case wasmbin.KindTable:
			s.fixed("it imports the table %q of %q", i.Name, i.Module)
		}
	}
	return err
}

func (s *state) memory(m *wasmbin.Module) error {
	memories, err := wasmbin.Items(m, wasmbin.SectionMemory, (*wasmbin.Reader).Memory)
	if err != nil {
		return err
	}
	for _, l := range memories {
		if l.Flags&wasmbin.HasMax == 0 {
			l.Max = maxPages
		}
		if l.Flags&wasmbin.Is64 == 0 && l.Max > maxPages { // which would become valid without its maximum
			return wasmbin.Malformed(m.Section(wasmbin.SectionMemory).Offset, "a memory of at most %d pages: there are %d", l.Max, maxPages)
		}
		s.report.MaxMemory = uint32(l.Max)
		switch {
		case l.Flags&wasmbin.Is64 != 0:
			s.fixed("its memory has addresses of 64 bits")
		case l.Flags&wasmbin.Shared != 0:
			s.fixed("its memory is shared between threads")
		}
	}
	if n := len(memories); n != 1 {
		s.fixed("it has %d memories of its own: must have one", n)
	}
	return nil
}

func (s *state) globals(m *wasmbin.Module) error {
	globals, err := wasmbin.Items(m, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	for i, g := range globals {
		if !g.Mutable {
			continue
		}
		index := s.imported + uint32(i)
		switch g.Type {
		case wasmbin.I32, wasmbin.I64, wasmbin.F32, wasmbin.F64:
			s.report.Movable = append(s.report.Movable, index)
		default: // a host can set 64 bits, and has no value for a reference
			s.fixed("the global %d is a mutable %s: must be a number", index, g.Type)
		}
	}
	if n := len(s.report.Movable); n > MaxMovable {
		s.fixed("it has %d mutable globals: must have at most %d", n, MaxMovable)
	}
	return err
}

// code looks for instructions that change what a host cannot read or set: tables, and
// whether segments are still there.
func (s *state) code(m *wasmbin.Module) error {
	bodies, err := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	for i := 0; i < len(bodies) && err == nil && s.report.Fixed == ""; i++ {
		var op wasmbin.Opcode
		if op, err = changesTables(bodies[i]); op != 0 {
			s.fixed("function %d of its own has the instruction %s, which changes a table or a segment", i, op)
		}
	}
	return err
}

// fixing are the instructions that change a table, drop a segment, or depend on whether
// it was dropped. table.set, which has another prefix, is not among them: it needs
// reference types, which wasmbin cannot read and no guest may use.
var fixing = []wasmbin.Opcode{wasmbin.OpMemoryInit, wasmbin.OpDataDrop, wasmbin.OpTableInit, wasmbin.OpElemDrop, wasmbin.OpTableCopy,
	wasmbin.OpTableGrow, wasmbin.OpTableFill}

// changesTables returns the first instruction in a function that is one of fixing, or 0.
func changesTables(body wasmbin.Body) (wasmbin.Opcode, error) {
	if !mayChangeTables(body) {
		return 0, nil
	}
	w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
	for n := w.Count("groups of locals"); n > 0 && w.Err == nil; n-- {
		w.Locals()
	}
	for w.Begin(); w.Opcode(); {
		if slices.Contains(fixing, w.Op) {
			return w.Op, nil
		}
	}
	return 0, w.Err
}

// mayChangeTables reports whether the bytes of one of these instructions are anywhere in a function,
// as they are in few. Walking over the code of a Go guest takes longer than all else
// that is done here.
func mayChangeTables(body wasmbin.Body) bool {
	for rest := []byte(body); ; {
		i := bytes.IndexByte(rest, prefix)
		if i < 0 || i+1 == len(rest) {
			return false
		}
		if rest = rest[i+1:]; begins[rest[0]&0x7f] {
			return true
		}
	}
}

// prefix is the first byte of each of fixing. begins are the lower seven bits of the next
// byte, which hold the whole number if it is written in as few bytes as it takes.
var (
	prefix byte
	begins [0x80]bool
)

func init() {
	for _, op := range fixing {
		var number uint32
		prefix, number = op.Prefix()
		begins[number] = true
	}
}
