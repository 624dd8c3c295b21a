package preflight

import (
	"errors"
	"fmt"
)

func (m *Module) readTypes(r *reader, l *Limits) {
	n := r.count("types", l.Types)
	m.types = make([]Signature, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		if form := r.byte(); r.err == nil && form != 0x60 {
			r.err = feature("a type of form 0x%02x (only functions are types here)", form)
			return
		}
		t := Signature{Params: r.valueTypes(l), Results: r.valueTypes(l)}
		m.types = append(m.types, t)
		m.typeValues += int64(len(t.Params) + len(t.Results))
	}
	m.TypeCount = len(m.types)
	m.chargeTypes()
}

func (r *reader) valueTypes(l *Limits) []ValueType {
	n := r.count("parameters or results of a type", l.Params)
	if n == 0 {
		return nil
	}
	types := make([]ValueType, n)
	for i := range types {
		types[i] = r.valueType()
	}
	return types
}

func (r *reader) valueType() ValueType {
	b := r.byte()
	switch t := ValueType(b); t {
	case I32, I64, F32, F64, V128:
		return t
	}
	switch {
	case r.err != nil:
	case b == 0x63 || b == 0x64: // the type of what is referred to follows
		r.refuse(noReferences(b))
		r.skipSigned(33)
	case b == 0x70 || b == 0x6f || b == 0x6e || b == 0x6d || b == 0x69:
		r.refuse(noReferences(b))
	default:
		r.fail("an unknown value type 0x%02x", b)
	}
	return ValueType(b)
}

func noReferences(b byte) error {
	return feature("the value type 0x%02x (reference types are not available to a guest)", b)
}

func (m *Module) readImports(r *reader, l *Limits) {
	n := r.count("imports", l.Imports)
	for i := 0; i < n && r.err == nil; i++ {
		imp := Import{Module: r.name(l.Name), Name: r.name(l.Name), Kind: Kind(r.byte())}
		if r.err != nil {
			return
		}
		if imp.Kind != KindFunction {
			if imp.Kind > KindTag {
				r.fail("an import of unknown kind 0x%02x", byte(imp.Kind))
				return
			}
			r.refuse(feature("the import of a %s, %q.%q (only functions may be imported)", imp.Kind, imp.Module, imp.Name))
			m.skipImport(r, imp.Kind)
			m.Imports = append(m.Imports, imp)
			continue
		}
		imp.Signature = m.signature(r, r.u32())
		m.Imports = append(m.Imports, imp)
	}
}

// skipImport reads over what follows the kind of an import that is no function.
func (m *Module) skipImport(r *reader, kind Kind) {
	// A type is not looked at: one reason to refuse the import is enough.
	skipType := func() {
		if b := r.byte(); b == 0x63 || b == 0x64 {
			r.skipSigned(33)
		}
	}
	switch kind {
	case KindTable:
		skipType()
		r.limits("table")
		m.tables++
	case KindMemory:
		r.limits("memory")
		m.memories++
	case KindGlobal:
		skipType()
		r.byte()
		m.importedGlobals++
	case KindTag:
		r.byte()
		r.u32()
	}
}

// signature returns the type of that number and notes it for the next function.
func (m *Module) signature(r *reader, index uint32) Signature {
	if r.err != nil {
		return Signature{}
	}
	if uint64(index) >= uint64(len(m.types)) {
		r.fail("type number %d, and there are %d", index, len(m.types))
		return Signature{}
	}
	m.functionTypes = append(m.functionTypes, index)
	return m.types[index]
}

func (m *Module) readFunctions(r *reader, l *Limits) {
	m.Functions = r.count("functions", l.Functions)
	for i := 0; i < m.Functions && r.err == nil; i++ {
		s := m.signature(r, r.u32())
		m.Locals += int64(len(s.Params) + len(s.Results))
	}
}

func (m *Module) readTables(r *reader, l *Limits) {
	n := r.u32()
	if r.err == nil && n > 1 {
		r.refuse(feature("%d tables (a guest has at most one)", n))
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		switch kind := r.byte(); {
		case r.err != nil || kind == 0x70:
		case kind == 0x6f:
			r.refuse(noSuchTable(kind))
		default:
			r.err = noSuchTable(kind)
			return
		}
		low, high, _ := r.limits("table")
		if r.err != nil {
			return
		}
		if low > int64(l.Table) {
			r.refuse(tooBig("entries of a table", low, int64(l.Table)))
		}
		if m.tables++; m.Table == nil {
			m.Table = &Table{Min: low, Max: high}
		}
	}
}

func noSuchTable(kind byte) error {
	return feature("a table of type 0x%02x (only tables of functions are available to a guest)", kind)
}

func (m *Module) readMemories(r *reader) {
	n := r.u32()
	if r.err == nil && n > 1 {
		r.refuse(feature("%d memories (a guest has exactly one)", n))
	}
	for i := uint32(0); i < n && r.err == nil; i++ {
		low, high, wide := r.limits("memory")
		const mostPages = 1 << 16
		if r.err == nil && !wide && (low > mostPages || high > mostPages) {
			r.fail("a memory of %d to %d pages, and 32-bit memory has at most %d", low, high, mostPages)
		}
		if r.err != nil {
			return
		}
		if m.memories++; m.Memory == nil {
			m.Memory = &Memory{Min: low, Max: high}
		}
	}
}

// limits reads the size of a table or memory: of 64 bits if wide.
func (r *reader) limits(what string) (low, high int64, wide bool) {
	const (
		hasMax = 1 << iota
		shared
		is64
	)
	high = -1
	flag := r.byte()
	if r.err == nil && flag > hasMax|shared|is64 {
		r.fail("unknown limits 0x%02x of a %s", flag, what)
	}
	switch wide = flag&is64 != 0; {
	case wide:
		r.refuse(feature("a 64-bit %s", what))
	case flag&shared != 0:
		r.refuse(feature("a shared %s", what))
	}
	read := func() int64 { return int64(r.u32()) }
	if wide {
		read = r.u64
	}
	low = read()
	if flag&hasMax != 0 {
		if high = read(); r.err == nil && high < low {
			r.fail("a %s of at least %d and at most %d", what, low, high)
		}
	}
	return low, high, wide
}

func (m *Module) readGlobals(r *reader, l *Limits) {
	m.Globals = r.count("globals", l.Globals)
	m.mutable = make([]bool, 0, m.Globals)
	for i := 0; i < m.Globals && r.err == nil; i++ {
		kind := r.valueType()
		mutable := r.byte()
		if r.err == nil && mutable > 1 {
			r.fail("a global of unknown mutability 0x%02x", mutable)
		} else if mutable == 1 {
			m.Mutable++
		}
		m.mutable = append(m.mutable, mutable == 1)
		r.constant(m, kind)
	}
}

func (m *Module) readExports(r *reader, l *Limits) {
	n := r.count("exports", l.Exports)
	seen := make(map[string]bool, n)
	for i := 0; i < n && r.err == nil; i++ {
		e := Export{Name: r.name(l.Name), Kind: Kind(r.byte()), Index: r.u32()}
		if r.err != nil {
			return
		}
		if seen[e.Name] {
			r.fail("a second export named %q", e.Name)
			return
		}
		seen[e.Name] = true
		switch e.Kind {
		case KindFunction:
			if uint64(e.Index) >= uint64(len(m.functionTypes)) {
				r.fail("the export %q is function %d, and there are %d", e.Name, e.Index, len(m.functionTypes))
				return
			}
			e.Signature = m.types[m.functionTypes[e.Index]]
		case KindMemory:
			if uint64(e.Index) >= uint64(m.memories) {
				r.fail("the export %q is memory %d, and there is none of that number", e.Name, e.Index)
			}
		case KindTable:
			if uint64(e.Index) >= uint64(m.tables) {
				r.fail("the export %q is table %d, and there is none of that number", e.Name, e.Index)
			}
		case KindGlobal:
			if all := m.importedGlobals + m.Globals; uint64(e.Index) >= uint64(all) {
				r.fail("the export %q is global %d, and there are %d", e.Name, e.Index, all)
			}
		case KindTag:
			r.refuse(feature("the export of a tag, %q (exceptions)", e.Name))
		default:
			r.fail("the export %q is of kind 0x%02x", e.Name, byte(e.Kind))
		}
		m.Exports = append(m.Exports, e)
	}
}

func (m *Module) readCode(r *reader, l *Limits) {
	m.codes = r.count("function bodies", l.Functions)
	if r.err == nil && m.codes != m.Functions {
		r.fail("%d functions are declared and %d have code", m.Functions, m.codes)
	}
	imported := len(m.functionTypes) - m.Functions
	locals, work, memory := false, false, false // has been refused for them
	for i := 0; i < m.codes && r.err == nil; i++ {
		size := r.u32()
		code := r.sub(size)
		if r.err != nil {
			return
		}
		if uint64(size) > uint64(l.Body) {
			r.refuse(tooBig("bytes of one function", int64(size), int64(l.Body)))
		}
		b := code.function(m, l, imported+i)
		if code.err != nil {
			r.err = code.err
			return
		}
		m.CodeSize += int64(b.Size)
		m.Locals += int64(b.Locals)
		m.charge(&b)
		m.Largest.join(b)
		if m.CompileMemory > l.CompileMemory && !memory {
			memory = true
			r.refuse(fmt.Errorf("%w: it would take about %d bytes of memory to compile, and the most is %d: make functions smaller "+
				"(function %d has %d bytes, %d blocks and branches, %d loads and stores, %d calls; %d globals can be set)", ErrTooBig,
				m.CompileMemory, l.CompileMemory, imported+i, b.Size, b.points(), b.Accesses, b.Calls, m.Mutable))
		}
		if m.Locals > int64(l.AllLocals) && !locals {
			locals = true
			r.refuse(tooBig("locals, parameters and results of all functions", m.Locals, int64(l.AllLocals)))
		}
		if m.Work > l.Work && !work {
			work = true
			r.refuse(fmt.Errorf("%w: it would take too long to compile (more than %d units of work): make large functions smaller "+
				"(the largest has %d blocks and branches, %d calls; there are %d functions, %d types, %d globals)", ErrTooBig, l.Work,
				m.Largest.Blocks+m.Largest.Branches, m.Largest.Calls, m.Functions, m.TypeCount, m.Globals))
		}
	}
}

// function reads the code of the function of that number. Its length is known,
// so that one that uses or takes too much does not hide those behind it.
func (r *reader) function(m *Module, l *Limits, number int) Body {
	first := len(r.reasons.all)
	b := r.body(m, l, m.types[m.functionTypes[number]])
	if r.err != nil && !errors.Is(r.err, ErrMalformed) {
		r.reasons.add(r.err)
		r.err = nil
	}
	if len(r.reasons.all) == first && r.err == nil {
		return b
	}
	where := fmt.Sprintf("function %d", number)
	r.reasons.place(first, where)
	if r.err != nil {
		r.err = fmt.Errorf("%w (%s)", r.err, where)
	}
	return b
}

func (b *Body) join(other Body) {
	b.Size = max(b.Size, other.Size)
	b.Locals = max(b.Locals, other.Locals)
	b.Depth = max(b.Depth, other.Depth)
	b.Blocks = max(b.Blocks, other.Blocks)
	b.Branches = max(b.Branches, other.Branches)
	b.Accesses = max(b.Accesses, other.Accesses)
	b.Calls = max(b.Calls, other.Calls)
	b.Values = max(b.Values, other.Values)
	b.Stack = max(b.Stack, other.Stack)
	b.Live = max(b.Live, other.Live)
	b.Loops = max(b.Loops, other.Loops)
	b.Read = max(b.Read, other.Read)
	b.Instructions = max(b.Instructions, other.Instructions)
	b.Memory = max(b.Memory, other.Memory)
	b.Code = max(b.Code, other.Code)
	b.Lookups = max(b.Lookups, other.Lookups)
	b.Merges = max(b.Merges, other.Merges)
	b.Known = max(b.Known, other.Known)
	b.Resets = max(b.Resets, other.Resets)
	b.Basic = max(b.Basic, other.Basic)
	b.Climbs = max(b.Climbs, other.Climbs)
	b.Meets = max(b.Meets, other.Meets)
}
