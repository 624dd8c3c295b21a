package rewrite

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// module is a module as it was, with everything that an index may refer to.
type module struct {
	*wasmbin.Module
	types     []wasmbin.FuncType
	functions []uint32 // types of the imported and then of the defined functions
	imported  uint32   // functions
	globals   uint32   // imported and defined
	exports   []wasmbin.Export
	reachable []bool // functions that are called from outside or through a reference
	indirect  []bool // functions that have a reference
	own       []function
	pieces    bool // something may be copied or filled in pieces

	// What belongs to the functions, one after the other.
	regions []int64
	points  []point
	calls   []call
	frames  []frame
}

// read takes a module apart and checks that every index refers to something in it.
// Bodies are read later.
func read(w *wasmbin.Module) (*module, error) {
	m := &module{Module: w}
	if err := ordered(w); err != nil {
		return nil, err
	}
	for _, part := range []func() error{m.readTypes, m.readImports, m.readFunctions, m.readGlobals, m.readExports, m.readStart, m.readElements} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// ordered refuses a section that comes twice, of which only one would be changed.
func ordered(w *wasmbin.Module) error {
	last := 0
	for _, s := range w.Sections {
		if s.ID == wasmbin.SectionCustom {
			continue
		}
		order := wasmbin.SectionOrder(s.ID)
		if order <= last {
			return wasmbin.Malformed(s.Offset, "the %s section is unknown, or comes twice or too late", wasmbin.SectionName(s.ID))
		}
		last = order
	}
	return nil
}

func (m *module) readTypes() (err error) {
	m.types, err = wasmbin.Items(m.Module, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
	return err
}

func (m *module) readImports() error {
	imports, err := wasmbin.Items(m.Module, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	for _, i := range imports {
		switch i.Kind {
		case wasmbin.KindFunction:
			m.functions = append(m.functions, i.Type)
			m.imported++
		case wasmbin.KindGlobal:
			m.globals++
		}
	}
	return err
}

func (m *module) readFunctions() error {
	types, err := wasmbin.Items(m.Module, wasmbin.SectionFunction, (*wasmbin.Reader).Index)
	if err != nil {
		return err
	}
	for _, t := range types {
		m.functions = append(m.functions, uint32(t))
	}
	for i, t := range m.functions {
		if err := below(wasmbin.SectionFunction, t, len(m.types), "type", "function %d", i); err != nil {
			return err
		}
	}
	m.reachable = make([]bool, len(m.functions))
	m.indirect = make([]bool, len(m.functions))
	return nil
}

func (m *module) readGlobals() error {
	globals, err := wasmbin.Items(m.Module, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	if err != nil {
		return err
	}
	m.globals += uint32(len(globals))
	for i, g := range globals {
		if err := m.expression(wasmbin.SectionGlobal, g.Init, "the value of global %d", i); err != nil {
			return err
		}
	}
	return nil
}

func (m *module) readExports() (err error) {
	if m.exports, err = wasmbin.Items(m.Module, wasmbin.SectionExport, (*wasmbin.Reader).Export); err != nil {
		return err
	}
	for _, e := range m.exports {
		switch {
		case e.Kind == wasmbin.KindFunction:
			if err := m.function(wasmbin.SectionExport, e.Index, "the export %q", e.Name); err != nil {
				return err
			}
			m.reachable[e.Index] = true
		case e.Kind == wasmbin.KindGlobal:
			if err := below(wasmbin.SectionExport, e.Index, int(m.globals), "global", "the export %q", e.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *module) readStart() error {
	s := m.Section(wasmbin.SectionStart)
	if s == nil {
		return nil
	}
	r := s.Reader()
	start := r.U32()
	r.End()
	if r.Err != nil {
		return r.Err
	}
	if err := m.function(wasmbin.SectionStart, start, "the start"); err != nil {
		return err
	}
	m.reachable[start] = true
	return nil
}

func (m *module) readElements() error {
	segments, err := wasmbin.Items(m.Module, wasmbin.SectionElement, (*wasmbin.Reader).Elements)
	if err != nil {
		return err
	}
	for i, e := range segments {
		if e.Active() {
			if err := m.expression(wasmbin.SectionElement, e.Offset, "the offset of element segment %d", i); err != nil {
				return err
			}
		}
		for _, f := range e.Functions {
			if err := m.function(wasmbin.SectionElement, f, "element segment %d", i); err != nil {
				return err
			}
			m.reachable[f], m.indirect[f] = true, true
		}
		for _, x := range e.Expressions {
			if err := m.expression(wasmbin.SectionElement, x, "element segment %d", i); err != nil {
				return err
			}
		}
	}
	return m.readData()
}

// readData reads the offsets of data, which may refer to globals.
func (m *module) readData() error {
	s := m.Section(wasmbin.SectionData)
	if s == nil {
		return nil
	}
	r := s.Reader()
	for n, i := r.Count("data segments"), 0; i < n && r.Err == nil; i++ {
		if d := r.Data(); d.Active() && r.Err == nil {
			if err := m.expression(wasmbin.SectionData, d.Offset, "the offset of data segment %d", i); err != nil {
				return err
			}
		}
	}
	return r.Err
}

// expression checks the indices in a constant expression.
func (m *module) expression(section byte, x wasmbin.Expression, where string, args ...any) error {
	w := wasmbin.NewWalker(wasmbin.NewReader(x, 0))
	for w.Begin(); w.Next(); {
		switch w.Op.Layout() {
		case wasmbin.LayoutGlobal:
			if err := below(section, w.First, int(m.globals), "global", where, args...); err != nil {
				return err
			}
		case wasmbin.LayoutFunction:
			if err := m.function(section, w.First, where, args...); err != nil {
				return err
			}
			m.reachable[w.First], m.indirect[w.First] = true, true
		}
	}
	return w.Err
}

func (m *module) function(section byte, index uint32, where string, args ...any) error {
	return below(section, index, len(m.functions), "function", where, args...)
}

// below checks an index of a thing of which there are so many.
func below(section byte, index uint32, all int, what, where string, args ...any) error {
	if uint64(index) < uint64(all) {
		return nil
	}
	return fmt.Errorf("%w: section %s: %s refers to %s %d: there are %d",
		wasmbin.ErrMalformed, wasmbin.SectionName(section), fmt.Sprintf(where, args...), what, index, all)
}
