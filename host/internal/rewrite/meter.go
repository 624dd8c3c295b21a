package rewrite

import (
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// DepthLimit is the stack, in bytes, that a call of a metered module may take, unless the
// host sets [DepthExport]. wazero doubles a stack that is too small, and copies it, so
// that its memory is at most about twice as much.
const DepthLimit = 16 << 20

// hookName is the name of the added function in traces.
const hookName = ReservedPrefix + "hook"

// meter makes a module charge fuel and bound the depth of its calls.
func meter(w *wasmbin.Module, report *Report) error {
	m, err := read(w)
	if err != nil {
		return err
	}
	if err := m.readBodies(); err != nil {
		return err
	}
	m.decide()
	e := &emitter{module: m, fuel: m.globals, depth: m.globals + 1, hook: uint32(len(m.functions)), chains: m.indirectChains(), report: report}
	report.Functions, report.Hook, report.Chain = len(m.own), e.hook, m.longestChain()
	e.writeFunctions(e.writeTypes())
	if err := e.writeGlobals(); err != nil {
		return err
	}
	wasmbin.SetItems(m.Module, wasmbin.SectionExport, append(m.exports,
		wasmbin.Export{Name: FuelExport, Kind: wasmbin.KindGlobal, Index: e.fuel},
		wasmbin.Export{Name: DepthExport, Kind: wasmbin.KindGlobal, Index: e.depth}))
	e.writeCode()
	m.Sections = slices.DeleteFunc(m.Sections, holdsOffsets)
	nameHook(m.Module, e.hook)
	return nil
}

// writeTypes adds the types of the added functions, and those of the blocks around
// counted functions. It returns the former.
func (e *emitter) writeTypes() (added []uint32) {
	types := slices.Clone(e.types)
	find := func(t wasmbin.FuncType) uint32 {
		i := slices.IndexFunc(types, t.Equal)
		if i < 0 {
			i = len(types)
			types = append(types, t)
		}
		return uint32(i)
	}
	e.blocks = make(map[uint32]int64)
	for i := range e.own {
		f := &e.own[i]
		results := e.types[f.sig].Results
		if !f.counted || len(results) < 2 {
			continue
		}
		if _, known := e.blocks[f.sig]; !known {
			e.blocks[f.sig] = int64(find(wasmbin.FuncType{Results: results}))
		}
	}
	added = append(added, find(wasmbin.FuncType{}))
	if e.module.pieces {
		three := find(wasmbin.FuncType{Params: []wasmbin.ValueType{wasmbin.I32, wasmbin.I32, wasmbin.I32}})
		added = append(added, three, three)
	}
	if len(types) > len(e.types) {
		wasmbin.SetItems(e.Module, wasmbin.SectionType, types)
	}
	return added
}

func (e *emitter) writeFunctions(added []uint32) {
	b := wasmbin.AppendU32(nil, uint32(len(e.own)+len(added)))
	for _, f := range e.own {
		b = wasmbin.AppendU32(b, f.sig)
	}
	for _, t := range added {
		b = wasmbin.AppendU32(b, t)
	}
	e.Set(wasmbin.SectionFunction, b)
}

func (e *emitter) writeGlobals() error {
	globals, err := wasmbin.Items(e.Module, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	for _, start := range []int64{0, DepthLimit} {
		var value wasmbin.Code
		value.I64(start)
		globals = append(globals, wasmbin.Global{
			GlobalType: wasmbin.GlobalType{Type: wasmbin.I64, Mutable: true}, Init: value.Expression()})
	}
	wasmbin.SetItems(e.Module, wasmbin.SectionGlobal, globals)
	return err
}

func (e *emitter) writeCode() {
	size := 64
	if s := e.Section(wasmbin.SectionCode); s != nil {
		size += len(s.Content) + len(s.Content)/4
	}
	added := []wasmbin.Body{wasmbin.Code(nil).Body()}
	if e.module.pieces {
		added = append(added, e.pieceFunction(wasmbin.OpMemoryCopy), e.pieceFunction(wasmbin.OpMemoryFill))
	}
	b := wasmbin.AppendU32(make([]byte, 0, size), uint32(len(e.own)+len(added)))
	for i := range e.own {
		b = e.body(b, &e.own[i])
	}
	for _, body := range added {
		b = body.Append(b)
	}
	e.Set(wasmbin.SectionCode, b)
}

// holdsOffsets reports whether a section refers to code by its position, which has
// changed.
func holdsOffsets(s wasmbin.Section) bool {
	if s.ID != wasmbin.SectionCustom {
		return false
	}
	r := s.Reader()
	switch name := r.Name(); name {
	case "sourceMappingURL", "external_debug_info", "linking":
		return true
	default:
		return strings.HasPrefix(name, ".debug_") || strings.HasPrefix(name, "reloc.") || strings.HasPrefix(name, "metadata.code.")
	}
}

// nameHook adds the name of the hook to the names of functions, if the module has any
// that can be read.
func nameHook(m *wasmbin.Module, hook uint32) {
	s, r := m.Custom("name")
	if s == nil {
		return
	}
	b := wasmbin.AppendBytes(nil, "name")
	for r.More() {
		id, content := r.Subsection()
		bytes := content.Rest()
		if id == wasmbin.NamesFunctions && r.Err == nil {
			n := content.Count("names")
			list := content.Rest()
			bytes = append(wasmbin.AppendU32(nil, uint32(n+1)), list...)
			for ; n > 0; n-- {
				if content.Naming().Index >= hook {
					return
				}
			}
			content.End()
			bytes = wasmbin.Naming{Index: hook, Name: hookName}.Append(bytes)
		}
		if content.Err != nil || r.Err != nil {
			return
		}
		b = wasmbin.Subsection{ID: id, Content: bytes}.Append(b)
	}
	s.Content = b
}
