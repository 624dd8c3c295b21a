package rewrite_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

const pageSize = 1 << 16

// dataModule is a module with a memory of one page and data.
type dataModule struct {
	segments []wasmbin.Data
	count    int // the data count section says so, 0 for none
	imported int // memories
	memories int // of its own; 0 is one, if none is imported
	code     wasmbin.Code
	names    []byte // the section "name"
}

func (d dataModule) wasm() []byte {
	m := new(wasmbin.Module)
	memory := wasmbin.Memory{Limits: wasmbin.Limits{Min: 1}}
	if d.imported > 0 {
		wasmbin.SetItems(m, wasmbin.SectionImport, []wasmbin.Import{
			{Module: "env", Name: "memory", Kind: wasmbin.KindMemory, Memory: memory},
			{Module: "env", Name: "base", Kind: wasmbin.KindGlobal, Global: wasmbin.GlobalType{Type: wasmbin.I32}},
		})
	}
	if d.imported == 0 || d.memories > 0 {
		wasmbin.SetItems(m, wasmbin.SectionMemory, slices.Repeat([]wasmbin.Memory{memory}, max(d.memories, 1)))
	}
	wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: "memory", Kind: wasmbin.KindMemory}})
	if d.code != nil {
		wasmbin.SetItems(m, wasmbin.SectionType, []wasmbin.FuncType{{}})
		wasmbin.SetItems(m, wasmbin.SectionFunction, []wasmbin.Index{0})
		wasmbin.SetItems(m, wasmbin.SectionCode, []wasmbin.Body{d.code.Body()})
	}
	if d.count > 0 {
		m.Set(wasmbin.SectionDataCount, wasmbin.AppendU32(nil, uint32(d.count)))
	}
	wasmbin.SetItems(m, wasmbin.SectionData, d.segments)
	if d.names != nil {
		m.Set(wasmbin.SectionCustom, d.names)
	}
	return m.Append(nil)
}

func at(offset uint32, content string) wasmbin.Data {
	var c wasmbin.Code
	c.I32(int32(offset))
	return wasmbin.Data{Offset: c.Expression(), Bytes: []byte(content)}
}

func passive(content string) wasmbin.Data {
	return wasmbin.Data{Mode: wasmbin.DataPassive, Bytes: []byte(content)}
}

// atGlobal lies where an imported global says.
func atGlobal(content string) wasmbin.Data {
	var c wasmbin.Code
	c.Op(wasmbin.OpGlobalGet, 0)
	return wasmbin.Data{Offset: c.Expression(), Bytes: []byte(content)}
}

func inMemory(number uint32, d wasmbin.Data) wasmbin.Data {
	d.Mode, d.Memory = wasmbin.DataIndexed, number
	return d
}

func code(op wasmbin.Opcode, immediates ...uint32) (c wasmbin.Code) {
	if op == wasmbin.OpMemoryInit {
		c.I32(0)
		c.I32(0)
		c.I32(0)
	}
	c.Op(op, immediates...)
	return c
}

// show writes segments as in "16:abc".
func show(t testing.TB, wasm []byte) string {
	m, err := wasmbin.Parse(wasm)
	require.NoError(t, err)
	segments, err := wasmbin.Items(m, wasmbin.SectionData, (*wasmbin.Reader).Data)
	require.NoError(t, err)
	var all []string
	for _, s := range segments {
		r := wasmbin.NewReader(s.Offset, 0)
		r.Byte()
		all = append(all, fmt.Sprintf("%d:%s", uint32(r.Signed(32)), strings.ReplaceAll(string(s.Bytes), "\x00", "-")))
	}
	if s := m.Section(wasmbin.SectionDataCount); s != nil {
		r := s.Reader()
		require.EqualValues(t, len(segments), r.U32(), "the data count")
	}
	return strings.Join(all, " ")
}

func TestDataIsMerged(t *testing.T) {
	gap := strings.Repeat("-", rewrite.MaxGap)
	for name, c := range map[string]struct {
		dataModule
		want string
	}{
		"neighbours":             {dataModule{segments: []wasmbin.Data{at(8, "ab"), at(10, "c")}}, "8:abc"},
		"a gap":                  {dataModule{segments: []wasmbin.Data{at(8, "ab"), at(12, "c")}}, "8:ab--c"},
		"the largest gap":        {dataModule{segments: []wasmbin.Data{at(0, "a"), at(1+rewrite.MaxGap, "b")}}, "0:a" + gap + "b"},
		"a gap that is larger":   {dataModule{segments: []wasmbin.Data{at(0, "a"), at(1, "b"), at(3+rewrite.MaxGap, "c")}}, "0:ab 67:c"},
		"not in order":           {dataModule{segments: []wasmbin.Data{at(9, "c"), at(500, "d"), at(8, "b"), at(7, "a")}}, "7:abc 500:d"},
		"counted":                {dataModule{segments: []wasmbin.Data{at(8, "ab"), at(10, "c"), at(900, "d")}, count: 3}, "8:abc 900:d"},
		"counted, with code":     {dataModule{segments: []wasmbin.Data{at(8, "ab"), at(10, "c")}, count: 2, code: code(wasmbin.OpNop)}, "8:abc"},
		"by the memory's number": {dataModule{segments: []wasmbin.Data{inMemory(0, at(8, "ab")), at(10, "c")}}, "8:abc"},
		"an empty one":           {dataModule{segments: []wasmbin.Data{at(8, "ab"), at(9, ""), at(10, ""), at(11, ""), at(12, "c")}}, "8:ab--c"},
		"an empty one, far away": {dataModule{segments: []wasmbin.Data{at(8, "ab"), at(10, "c"), at(900, "")}}, "8:abc 900:"},
		"an empty one, close by": {dataModule{segments: []wasmbin.Data{at(8, "ab"), at(12, "")}}, "8:ab--"},
		"the last byte":          {dataModule{segments: []wasmbin.Data{at(pageSize-2, "a"), at(pageSize-1, "b")}}, "65534:ab"},
		"beyond the memory":      {dataModule{segments: []wasmbin.Data{at(pageSize-2, "a"), at(pageSize-1, "bc")}}, "65534:abc"},
		"high addresses":         {dataModule{segments: []wasmbin.Data{at(1<<32-1, "c"), at(1<<31, "a"), at(1<<31+1, "b")}}, "2147483648:ab 4294967295:c"},
		"beyond all addresses":   {dataModule{segments: []wasmbin.Data{at(1<<32-2, "ab"), at(1<<32-1, "")}}, "4294967294:ab"},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.wasm()
			after, report, err := rewrite.Module(before, rewrite.Options{MergeData: true})
			require.NoError(t, err)
			require.Equal(t, c.want, show(t, after))
			require.Equal(t, len(c.segments), report.SegmentsBefore)
			require.Equal(t, len(strings.Fields(c.want)), report.SegmentsAfter)
			require.Equal(t, len(before), report.SizeBefore)
			require.Equal(t, len(after), report.SizeAfter)
			sameMemory(t, before, after)
		})
	}
}

// What merging could change, or cannot be judged, stays as it is, byte by byte.
func TestDataIsNotMerged(t *testing.T) {
	close := []wasmbin.Data{at(8, "ab"), at(10, "c")}
	extended := at(0, "c")
	extended.Offset = func() wasmbin.Expression {
		var c wasmbin.Code
		c.I32(4)
		c.I32(6)
		c.Op(wasmbin.OpI32Add)
		return c.Expression()
	}()
	for name, m := range map[string]dataModule{
		"none":                              {segments: []wasmbin.Data{}},
		"one":                               {segments: []wasmbin.Data{at(8, "ab")}},
		"far from each other":               {segments: []wasmbin.Data{at(8, "ab"), at(80, "c")}},
		"overlapping":                       {segments: []wasmbin.Data{at(8, "ab"), at(9, "c")}},
		"overlapping, not in order":         {segments: []wasmbin.Data{at(9, "c"), at(8, "ab")}},
		"at the same place":                 {segments: []wasmbin.Data{at(8, "ab"), at(8, "cd")}},
		"a passive one":                     {segments: append([]wasmbin.Data{passive("x")}, close...)},
		"offset of a global":                {segments: append([]wasmbin.Data{atGlobal("x")}, close...)},
		"an offset that is computed":        {segments: []wasmbin.Data{at(8, "ab"), extended}},
		"an imported memory":                {segments: close, imported: 1},
		"an imported memory before its own": {segments: close, imported: 1, memories: 1},
		"two memories":                      {segments: close, memories: 2},
		"another memory":                    {segments: append([]wasmbin.Data{inMemory(1, at(12, "x"))}, close...)},
		"memory.init":                       {segments: close, count: 2, code: code(wasmbin.OpMemoryInit, 1, 0)},
		"data.drop":                         {segments: close, count: 2, code: code(wasmbin.OpDataDrop, 0)},
		"memory.init, not counted":          {segments: append([]wasmbin.Data{passive("x")}, close...), code: code(wasmbin.OpMemoryInit, 0, 0)},
		"a count that is wrong":             {segments: close, count: 1},
		"a count of what is left then":      {segments: []wasmbin.Data{at(8, "ab"), at(10, "c"), at(11, "d")}, count: 1},
		"names of segments and no merging":  {segments: []wasmbin.Data{at(8, "ab"), at(80, "c")}, names: names(true)},
	} {
		t.Run(name, func(t *testing.T) {
			before := m.wasm()
			after, report, err := rewrite.Module(before, rewrite.Options{MergeData: true})
			require.NoError(t, err)
			require.Equal(t, before, after)
			require.Equal(t, len(m.segments), report.SegmentsBefore)
			require.Equal(t, len(m.segments), report.SegmentsAfter)
		})
	}
}

func TestWithoutMergeDataNothingIsMerged(t *testing.T) {
	before := dataModule{segments: []wasmbin.Data{at(8, "ab"), at(10, "c")}}.wasm()
	after, _, err := rewrite.Module(before, rewrite.Options{})
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestMalformedDataIsRefused(t *testing.T) {
	whole := dataModule{segments: []wasmbin.Data{at(8, "ab"), at(10, "c")}, count: 2, code: code(wasmbin.OpNop)}
	for name, spoil := range map[string]func(m *wasmbin.Module){
		"data": func(m *wasmbin.Module) { m.Set(wasmbin.SectionData, []byte{2, 0}) },
		"behind": func(m *wasmbin.Module) {
			s := m.Section(wasmbin.SectionData)
			s.Content = append(slices.Clip(s.Content), 0)
		},
		"count":   func(m *wasmbin.Module) { m.Set(wasmbin.SectionDataCount, []byte{2, 0}) },
		"memory":  func(m *wasmbin.Module) { m.Set(wasmbin.SectionMemory, []byte{1}) },
		"imports": func(m *wasmbin.Module) { m.Set(wasmbin.SectionImport, []byte{1}) },
		"code":    func(m *wasmbin.Module) { m.Set(wasmbin.SectionCode, []byte{1, 3, 0, 0xff, 0x0b}) },
	} {
		t.Run(name, func(t *testing.T) {
			m, err := wasmbin.Parse(whole.wasm())
			require.NoError(t, err)
			spoil(m)
			_, _, err = rewrite.Module(m.Append(nil), rewrite.Options{MergeData: true})
			require.ErrorIs(t, err, wasmbin.ErrMalformed)
		})
	}
}

// names is a section of names: of a function, and of data segments.
func names(data bool) []byte {
	b := wasmbin.AppendBytes(nil, "name")
	b = wasmbin.Subsection{ID: wasmbin.NamesModule, Content: wasmbin.AppendBytes(nil, "mod")}.Append(b)
	b = wasmbin.Subsection{ID: wasmbin.NamesFunctions, Content: wasmbin.AppendItems(nil, []wasmbin.Naming{{Index: 0, Name: "f"}})}.Append(b)
	if data {
		b = wasmbin.Subsection{ID: wasmbin.NamesData, Content: wasmbin.AppendItems(nil, []wasmbin.Naming{{Index: 1, Name: ".rodata"}})}.Append(b)
	}
	return b
}

// The names of data segments refer to them by number.
func TestNamesOfMergedSegmentsAreDropped(t *testing.T) {
	for _, data := range []bool{true, false} {
		before := dataModule{segments: []wasmbin.Data{at(8, "ab"), at(10, "c")}, code: code(wasmbin.OpNop), names: names(data)}.wasm()
		after, _, err := rewrite.Module(before, rewrite.Options{MergeData: true})
		require.NoError(t, err)
		m, err := wasmbin.Parse(after)
		require.NoError(t, err)
		s, _ := m.Custom("name")
		require.Equal(t, names(false), s.Content)
	}
}

// engines are those of wazero.
var engines = map[string]wazero.RuntimeConfig{
	"compiler":    wazero.NewRuntimeConfigCompiler(),
	"interpreter": wazero.NewRuntimeConfigInterpreter(),
}

// memoryOf instantiates a module and returns its memory. The error of one that does
// not start names a segment by its number, which may change.
func memoryOf(t testing.TB, engine wazero.RuntimeConfig, wasm []byte) (memory []byte, refused, outside bool) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, engine)
	defer r.Close(ctx)
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		return nil, true, false
	}
	mod, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig())
	if err != nil {
		require.Contains(t, err.Error(), "out of bounds memory access")
		return nil, false, true
	}
	b, ok := mod.Memory().Read(0, mod.Memory().Size())
	require.True(t, ok)
	return bytes.Clone(b), false, false
}

// sameMemory fails unless both modules begin with the same memory, or do not begin, in
// each engine. It returns the memory.
func sameMemory(t testing.TB, before, after []byte) (memory []byte, refused, outside bool) {
	for name, engine := range engines {
		memory1, refused1, outside1 := memoryOf(t, engine, before)
		memory2, refused2, outside2 := memoryOf(t, engine, after)
		require.Equal(t, refused1, refused2, "%s: refused", name)
		require.Equal(t, outside1, outside2, "%s: outside of the memory", name)
		require.True(t, bytes.Equal(memory1, memory2), "%s: the memories differ", name)
		memory, refused, outside = memory1, refused1, outside1
	}
	return memory, refused, outside
}

// randomData makes a module at random. It tells what the memory must be.
func randomData(r *rand.Rand) (d dataModule, memory []byte, outside bool) {
	memory = make([]byte, pageSize)
	next := r.IntN(200)
	if r.IntN(4) == 0 {
		next = pageSize - r.IntN(400)
	}
	for range r.IntN(30) {
		length := r.IntN(20)
		switch r.IntN(20) {
		case 0:
			length = 0
		case 1:
			next -= min(next, r.IntN(40)) // may overlap
		case 2:
			next += r.IntN(500)
		case 3:
			if r.IntN(10) == 0 {
				d.segments = append(d.segments, passive("unused"))
			}
		case 4:
			if r.IntN(20) == 0 {
				next += 1 << 31
			}
		}
		content := make([]byte, length)
		for i := range content {
			content[i] = byte(r.IntN(3)) // zeros, too
		}
		s := at(uint32(next), string(content))
		if r.IntN(5) == 0 {
			s = inMemory(0, s)
		}
		d.segments = append(d.segments, s)
		next += length + r.IntN(2)*r.IntN(rewrite.MaxGap+20)
	}
	if r.IntN(3) == 0 {
		r.Shuffle(len(d.segments), func(i, j int) { d.segments[i], d.segments[j] = d.segments[j], d.segments[i] })
	}
	if r.IntN(2) == 0 {
		d.count = len(d.segments)
	}
	if n := len(d.segments); n > 0 && d.count > 0 && r.IntN(6) == 0 {
		d.code = code(wasmbin.OpDataDrop, uint32(r.IntN(n)))
	}
	for _, s := range d.segments {
		if s.Mode == wasmbin.DataPassive {
			continue
		}
		offset := wasmbin.NewReader(s.Offset[1:], 0)
		from := uint64(uint32(offset.Signed(32)))
		if from+uint64(len(s.Bytes)) > pageSize {
			return d, nil, true
		}
		copy(memory[from:], s.Bytes)
	}
	return d, memory, false
}

// Merged or not, the memory is what a model says.
func TestMergedDataAreTheSameMemory(t *testing.T) {
	merged, kept, beyond := 0, 0, 0
	for seed := range uint64(300) {
		d, want, wantOutside := randomData(rand.New(rand.NewPCG(seed, 1)))
		before := d.wasm()
		after, report, err := rewrite.Module(before, rewrite.Options{MergeData: true})
		require.NoError(t, err)
		memory, refused, outside := sameMemory(t, before, after)
		require.False(t, refused, "seed %d", seed)
		require.Equal(t, wantOutside, outside, "seed %d", seed)
		require.True(t, bytes.Equal(want, memory), "seed %d", seed)
		switch {
		case outside:
			beyond++
		case report.SegmentsAfter < report.SegmentsBefore:
			merged++
		default:
			kept++
		}
	}
	require.Greater(t, merged, 50)
	require.Greater(t, kept, 50)
	require.Greater(t, beyond, 20)
}

// FuzzMergeData holds what merging makes of any bytes against what they were: the same
// memory, and nothing becomes valid that was not.
func FuzzMergeData(f *testing.F) {
	for seed := range uint64(30) {
		d, _, _ := randomData(rand.New(rand.NewPCG(seed, 2)))
		f.Add(d.wasm())
	}
	f.Fuzz(func(t *testing.T, before []byte) {
		after, _, err := rewrite.Module(before, rewrite.Options{MergeData: true})
		if err != nil {
			return
		}
		outline, why := preflight.Parse(before, preflight.Limits{})
		_, whyAfter := preflight.Parse(after, preflight.Limits{})
		if (why == nil) != (whyAfter == nil) {
			t.Fatalf("refused before: %v, after: %v", why, whyAfter)
		}
		if why == nil && !outline.Start && len(outline.Imports) == 0 && outline.Memory != nil && outline.Memory.Min <= 4 {
			sameMemory(t, before, after)
		}
	})
}
