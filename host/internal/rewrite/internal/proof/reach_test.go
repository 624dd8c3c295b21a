package proof_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// reacher changes one index in a module after another, to the numbers that things which
// are added would have.
type reacher struct {
	t     *testing.T
	wasm  []byte
	tried map[string]int
}

// parts are the lists of a module that indices refer to, or that have indices.
type parts struct {
	m         *wasmbin.Module
	types     []wasmbin.FuncType
	imports   []wasmbin.Import
	functions []wasmbin.Index
	globals   []wasmbin.Global
	exports   []wasmbin.Export
	elements  []wasmbin.Elements
	data      []wasmbin.Data
	bodies    []wasmbin.Body
}

func (r *reacher) parts() (p parts) {
	var errs [9]error
	p.m, errs[0] = wasmbin.Parse(r.wasm)
	p.types, errs[1] = wasmbin.Items(p.m, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
	p.imports, errs[2] = wasmbin.Items(p.m, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	p.functions, errs[3] = wasmbin.Items(p.m, wasmbin.SectionFunction, (*wasmbin.Reader).Index)
	p.globals, errs[4] = wasmbin.Items(p.m, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	p.exports, errs[5] = wasmbin.Items(p.m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	p.elements, errs[6] = wasmbin.Items(p.m, wasmbin.SectionElement, (*wasmbin.Reader).Elements)
	p.bodies, errs[7] = wasmbin.Items(p.m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	p.data, errs[8] = wasmbin.Items(p.m, wasmbin.SectionData, (*wasmbin.Reader).Data)
	for _, err := range errs {
		require.NoError(r.t, err)
	}
	return p
}

// refused: the module was invalid, and stays so.
func (r *reacher) refused(what string, p parts) {
	r.t.Helper()
	wasm := p.m.Append(nil)
	require.Error(r.t, compiles(wasm, api.CoreFeaturesV2), "%s is valid: the test is wrong: %x", what, wasm)
	r.tried[what]++
	for _, o := range allOptions {
		out, _, err := rewrite.Module(wasm, o)
		if o.Meter {
			require.Error(r.t, err, "%s is out of range: %x", what, wasm)
		}
		if err == nil && (o.Meter || allowed(wasm)) {
			require.Error(r.t, compiles(out, api.CoreFeaturesV2), "%s reaches what is added with %+v: %x", what, o, wasm)
		}
	}
}

// TestNothingReachesWhatIsAdded: the functions, globals, types, locals and labels of a
// rewritten module that the original did not have cannot be referred to from the code of
// the original.
func TestNothingReachesWhatIsAdded(t *testing.T) {
	tried := make(map[string]int)
	modules := uint64(12)
	if long(t) > 0 {
		modules = 300
	}
	for seed := range modules {
		r := &reacher{t, modgen.New(seed, nil).Wasm, tried}
		r.sections()
		r.code(int(seed))
	}
	t.Log(tried)
	for _, what := range []string{"call", "global.get", "global.set", "local.get", "local.set", "local.tee", "br", "br_if", "br_table", "call_indirect", "block",
		"an exported function", "an exported global", "an element", "the place of an element", "the place of data", "the start function", "the type of a function"} {
		require.Positive(t, tried[what], what)
	}
}

func (r *reacher) sections() {
	p := r.parts()
	functions := uint32(len(p.imports) + len(p.functions))
	globals, types := uint32(len(p.globals)), uint32(len(p.types))
	for beyond := range uint32(3) {
		p := r.parts()
		wasmbin.SetItems(p.m, wasmbin.SectionExport, append(p.exports, wasmbin.Export{Name: "x", Index: functions + beyond}))
		r.refused("an exported function", p)
		p = r.parts()
		wasmbin.SetItems(p.m, wasmbin.SectionExport, append(p.exports, wasmbin.Export{Name: "x", Kind: wasmbin.KindGlobal, Index: globals + beyond}))
		r.refused("an exported global", p)
		p = r.parts()
		p.m.Set(wasmbin.SectionStart, wasmbin.AppendU32(nil, functions+beyond))
		r.refused("the start function", p)
		p = r.parts()
		p.functions[0] = wasmbin.Index(types + beyond)
		wasmbin.SetItems(p.m, wasmbin.SectionFunction, p.functions)
		r.refused("the type of a function", p)
		for i := range r.parts().imports {
			p = r.parts()
			p.imports[i].Type = types + beyond
			wasmbin.SetItems(p.m, wasmbin.SectionImport, p.imports)
			r.refused("the type of an import", p)
		}
		for i := range r.parts().elements {
			p = r.parts()
			p.elements[i].Functions = append(p.elements[i].Functions, functions+beyond)
			wasmbin.SetItems(p.m, wasmbin.SectionElement, p.elements)
			r.refused("an element", p)
		}
		for i := range r.parts().elements {
			if p = r.parts(); p.elements[i].Active() {
				p.elements[i].Offset = globalGet(globals + beyond)
				wasmbin.SetItems(p.m, wasmbin.SectionElement, p.elements)
				r.refused("the place of an element", p)
			}
		}
		for i := range r.parts().data {
			if p = r.parts(); p.data[i].Active() {
				p.data[i].Offset = globalGet(globals + beyond)
				wasmbin.SetItems(p.m, wasmbin.SectionData, p.data)
				r.refused("the place of data", p)
			}
		}
		p = r.parts()
		init := globalGet(globals + 1 + beyond) // behind this one, too
		p.globals = append(p.globals, wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: wasmbin.I64}, Init: init})
		wasmbin.SetItems(p.m, wasmbin.SectionGlobal, p.globals)
		r.refused("the first value of a global", p)
	}
}

func globalGet(i uint32) wasmbin.Expression {
	var c wasmbin.Code
	c.Op(wasmbin.OpGlobalGet, i)
	return c.Expression()
}

// code changes instructions, every so often.
func (r *reacher) code(seed int) {
	p := r.parts()
	functions, globals, types := uint32(len(p.imports)+len(p.functions)), uint32(len(p.globals)), uint32(len(p.types))
	turn := seed
	for i, body := range p.bodies {
		w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
		locals := uint32(len(p.types[p.functions[i]].Params))
		for groups := w.Count("groups"); groups > 0; groups-- {
			locals += w.Locals().Count
		}
		for w.Begin(); w.Next(); {
			from := uint32(0)
			switch w.Op.Layout() {
			case wasmbin.LayoutFunction:
				from = functions
			case wasmbin.LayoutGlobal:
				from = globals
			case wasmbin.LayoutLocal:
				from = locals
			case wasmbin.LayoutLabel, wasmbin.LayoutLabels:
				from = uint32(w.Depth())
			case wasmbin.LayoutTypeAndTable, wasmbin.LayoutBlockType:
				from = types
			default:
				continue
			}
			if turn++; turn%7 != 0 && w.Op != wasmbin.OpBrTable {
				continue
			}
			at, behind := w.At, w.Offset()
			if w.Op == wasmbin.OpBrTable {
				behind = at + len(w.Raw())
			}
			for beyond := range uint32(3) {
				changed := wasmbin.Body(append([]byte(nil), body[:at]...))
				switch w.Op.Layout() {
				case wasmbin.LayoutLabels:
					changed = append(append(wasmbin.OpBrTable.Append(changed), 1), byte(from+beyond), byte(from+beyond))
				case wasmbin.LayoutBlockType:
					if from+beyond >= 64 {
						continue
					}
					changed = append(w.Op.Append(changed), byte(from+beyond))
				case wasmbin.LayoutTypeAndTable:
					changed = append(wasmbin.AppendU32(w.Op.Append(changed), from+beyond), 0)
				default:
					changed = wasmbin.AppendU32(w.Op.Append(changed), from+beyond)
				}
				q := r.parts()
				q.bodies[i] = append(changed, body[behind:]...)
				wasmbin.SetItems(q.m, wasmbin.SectionCode, q.bodies)
				what := w.Op.String()
				if w.Op.Layout() == wasmbin.LayoutBlockType {
					what = "block"
				}
				r.refused(what, q)
			}
		}
		require.NoError(r.t, w.Err)
	}
}
