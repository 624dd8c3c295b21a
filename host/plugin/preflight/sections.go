package preflight

import (
	"errors"
	"fmt"
	"math"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

func (m *Module) readTypes(r *reader, l *Limits) {
	n := r.count("types", l.Types)
	m.types = make([]Signature, 0, n)
	for i := 0; i < n && r.Err == nil; i++ {
		if form := r.Byte(); r.Err == nil && form != wasmbin.FormFunc {
			r.Err = feature("a type of form 0x%02x (a guest has only function types)", form)
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
	before := r.Err
	t := r.ValueType()
	if before == nil {
		r.noReference(t)
	}
	return t
}

// noReference refuses the type of a reference, even if what follows it has a fault.
func (r *reader) noReference(t ValueType) {
	if t.IsReference() {
		r.reasons.add(noReferences(byte(t)))
	}
}

func noReferences(b byte) error {
	return feature("the value type 0x%02x (reference types are not available to a guest)", b)
}

func (m *Module) readImports(r *reader, l *Limits) {
	n := r.count("imports", l.Imports)
	for i := 0; i < n && r.Err == nil; i++ {
		imp := Import{Module: r.name(l.Name), Name: r.name(l.Name), Kind: Kind(r.Byte())}
		if r.Err != nil {
			return
		}
		if imp.Kind != KindFunction {
			if imp.Kind > KindTag {
				r.Fail("an import of unknown kind 0x%02x", byte(imp.Kind))
				return
			}
			r.refuse(feature("the import of a %s, %q.%q (only functions may be imported)", imp.Kind, imp.Module, imp.Name))
			m.skipImport(r, imp.Kind)
			m.Imports = append(m.Imports, imp)
			continue
		}
		imp.Signature = m.signature(r, r.U32())
		m.Imports = append(m.Imports, imp)
	}
}

// skipImport skips what follows the kind of an import that is not a function.
func (m *Module) skipImport(r *reader, kind Kind) {
	// It does not judge the type: one reason to refuse the import is enough.
	skipType := func() {
		if b := r.Byte(); b == 0x63 || b == 0x64 {
			r.Signed(33)
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
		r.Byte()
		m.importedGlobals++
	case KindTag:
		r.Byte()
		r.U32()
	}
}

// signature returns the type of that index and records it for the next function.
func (m *Module) signature(r *reader, index uint32) Signature {
	if r.Err != nil {
		return Signature{}
	}
	if uint64(index) >= uint64(len(m.types)) {
		r.noSuch("type", uint64(index), len(m.types))
		return Signature{}
	}
	m.functionTypes = append(m.functionTypes, index)
	return m.types[index]
}

func (m *Module) readFunctions(r *reader, l *Limits) {
	m.Functions = r.count("functions", l.Functions)
	for i := 0; i < m.Functions && r.Err == nil; i++ {
		s := m.signature(r, r.U32())
		m.Locals += int64(len(s.Params) + len(s.Results))
	}
}

func (m *Module) readTables(r *reader, l *Limits) {
	n := r.U32()
	if r.Err == nil && n > 1 {
		r.refuse(feature("%d tables: must be at most 1", n))
	}
	for i := uint32(0); i < n && r.Err == nil; i++ {
		switch kind := r.Byte(); {
		case r.Err != nil || kind == 0x70:
		case kind == 0x6f:
			r.refuse(noSuchTable(kind))
		default:
			r.Err = noSuchTable(kind)
			return
		}
		low, high, _ := r.limits("table")
		if r.Err != nil {
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
	n := r.U32()
	if r.Err == nil && n > 1 {
		r.refuse(feature("%d memories: must be 1", n))
	}
	for i := uint32(0); i < n && r.Err == nil; i++ {
		low, high, wide := r.limits("memory")
		const mostPages = 1 << 16
		if r.Err == nil && !wide && (low > mostPages || high > mostPages) {
			r.Fail("a memory of %d to %d pages: must be at most %d", low, high, mostPages)
		}
		if r.Err != nil {
			return
		}
		if m.memories++; m.Memory == nil {
			m.Memory = &Memory{Min: low, Max: high}
		}
	}
}

// limits reads the size of a table or memory. wide says that it has 64 bits. high is -1
// if there is none; a size above the largest int64 becomes the largest one.
func (r *reader) limits(what string) (low, high int64, wide bool) {
	before := r.Err
	size := r.Limits(what)
	wide = size.Flags&wasmbin.Is64 != 0
	switch { // a refusal precedes a fault in what follows
	case before != nil:
	case wide:
		r.reasons.add(feature("a 64-bit %s", what))
	case size.Flags&wasmbin.Shared != 0:
		r.reasons.add(feature("a shared %s", what))
	}
	low, high = int64(min(size.Min, math.MaxInt64)), -1
	if size.Flags&wasmbin.HasMax != 0 {
		high = int64(min(size.Max, math.MaxInt64))
	}
	return low, high, wide
}

func (m *Module) readGlobals(r *reader, l *Limits) {
	m.Globals = r.count("globals", l.Globals)
	m.mutable = make([]bool, 0, m.Globals)
	for i := 0; i < m.Globals && r.Err == nil; i++ {
		kind := r.valueType()
		mutable := r.Byte()
		if r.Err == nil && mutable > 1 {
			r.Fail("a global of unknown mutability 0x%02x", mutable)
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
	for i := 0; i < n && r.Err == nil; i++ {
		e := Export{Name: r.name(l.Name), Kind: Kind(r.Byte()), Index: r.U32()}
		if r.Err != nil {
			return
		}
		if seen[e.Name] {
			r.Fail("a second export named %q", e.Name)
			return
		}
		seen[e.Name] = true
		switch e.Kind {
		case KindFunction:
			if uint64(e.Index) >= uint64(len(m.functionTypes)) {
				e.noSuch(r, len(m.functionTypes))
				return
			}
			e.Signature = m.types[m.functionTypes[e.Index]]
		case KindMemory:
			if uint64(e.Index) >= uint64(m.memories) {
				e.noSuch(r, m.memories)
			}
		case KindTable:
			if uint64(e.Index) >= uint64(m.tables) {
				e.noSuch(r, m.tables)
			}
		case KindGlobal:
			if all := m.importedGlobals + m.Globals; uint64(e.Index) >= uint64(all) {
				e.noSuch(r, all)
			}
		case KindTag:
			r.refuse(feature("the export of a tag, %q (exceptions)", e.Name))
		default:
			r.Fail("the export %q is of kind 0x%02x", e.Name, byte(e.Kind))
		}
		m.Exports = append(m.Exports, e)
	}
}

// noSuch refuses an export of an item that is not there.
func (e *Export) noSuch(r *reader, all int) {
	r.Fail("the export %q is %s", e.Name, outOfRange(e.Kind.String(), uint64(e.Index), all))
}

func (m *Module) readCode(r *reader, l *Limits) {
	m.codes = r.count("function bodies", l.Functions)
	if r.Err == nil && m.codes != m.Functions {
		r.Fail("%d functions have code: must be %d, as many as are declared", m.codes, m.Functions)
	}
	imported := len(m.functionTypes) - m.Functions
	locals, cost, memory := false, false, false // already refused
	for i := 0; i < m.codes && r.Err == nil; i++ {
		size := r.U32()
		code := r.sub(size)
		if r.Err != nil {
			return
		}
		if uint64(size) > uint64(l.Body) {
			r.refuse(tooBig("bytes of one function", int64(size), int64(l.Body)))
		}
		b := code.function(m, l, imported+i)
		if code.Err != nil {
			r.Err = code.Err
			return
		}
		m.CodeSize += int64(b.Size)
		m.Locals += int64(b.Locals)
		m.charge(&b)
		m.Largest.join(b)
		if m.CompileMemory > l.CompileMemory && !memory {
			memory = true
			r.refuse(fmt.Errorf("%w takes about %d bytes of memory: must be at most %d; make functions smaller "+
				"(function %d has %d bytes, %d blocks and branches, %d loads and stores, %d calls; %d globals can be set)", ErrTooCostly,
				m.CompileMemory, l.CompileMemory, imported+i, b.Size, b.points(), b.Accesses, b.Calls, m.Mutable))
		}
		if m.Locals > int64(l.AllLocals) && !locals {
			locals = true
			r.refuse(tooBig("locals, parameters and results of all functions", m.Locals, int64(l.AllLocals)))
		}
		if m.CompileCost > l.CompileCost && !cost {
			cost = true
			r.refuse(fmt.Errorf("%w costs at least %d units of time: must be at most %d; make large functions smaller "+
				"(the largest has %d blocks and branches, %d calls; there are %d functions, %d types, %d globals)", ErrTooCostly,
				m.CompileCost, l.CompileCost, m.Largest.Blocks+m.Largest.Branches, m.Largest.Calls, m.Functions, m.TypeCount, m.Globals))
		}
	}
}

// function reads the code of the function of that index. Its length is known, so a
// function that uses or takes too much does not hide those that follow.
func (r *reader) function(m *Module, l *Limits, number int) Body {
	first := len(r.reasons.all)
	b := r.body(m, l, m.types[m.functionTypes[number]])
	if r.Err != nil && !errors.Is(r.Err, ErrMalformed) {
		r.reasons.add(r.Err)
		r.Err = nil
	}
	if len(r.reasons.all) == first && r.Err == nil {
		return b
	}
	where := fmt.Sprintf("function %d", number)
	r.reasons.place(first, where)
	if r.Err != nil {
		r.Err = fmt.Errorf("%w (%s)", r.Err, where)
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
