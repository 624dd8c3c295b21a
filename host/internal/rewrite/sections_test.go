package rewrite_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// A trace names the functions as the module does, and the hook.
func TestNames(t *testing.T) {
	wasm := (&building{functions: []fn{{code: ops(i32, 1, if_, void, unreachable, end)}, {code: ops(loop, void, call, 1, br, 0, end)}},
		imports: []wasmbin.FuncType{{}},
		names:   []wasmbin.Naming{{Index: 0, Name: "the_import"}, {Index: 1, Name: "the_trap"}, {Index: 2, Name: "the_caller"}}}).wasm()
	r, err := start(t, compiler(), wasm, metered)
	require.NoError(t, err)
	_, _, err = r.call(slice, "f1")
	require.ErrorContains(t, err, "the_trap()")
	require.ErrorContains(t, err, "the_caller()")

	wasm = (&building{functions: []fn{{code: ops(loop, void, br, 0, end)}}, names: []wasmbin.Naming{{Index: 0, Name: "endless"}}}).wasm()
	r, err = start(t, compiler(), wasm, metered)
	require.NoError(t, err)
	_, _, err = r.call(slice, "f0")
	require.ErrorContains(t, err, "endless()")
	require.ErrorContains(t, err, "waddle:hook()")
}

// A section of names that cannot be read, or that names the hook, stays as it is.
func TestNamesThatAreLeft(t *testing.T) {
	for _, names := range []string{"", "\x01", "\x01\x7f", "\x01\x04\x01\x07\x01h", "\x01\x05\x05\x00\x01hx"} {
		wasm := (&building{functions: []fn{{}}, change: func(m *wasmbin.Module) {
			m.Set(wasmbin.SectionCustom, append(wasmbin.AppendBytes(nil, "name"), names...))
		}}).wasm()
		out, _, err := rewrite.Module(wasm, metered)
		require.NoError(t, err)
		m, err := wasmbin.Parse(out)
		require.NoError(t, err)
		_, r := m.Custom("name")
		require.Equal(t, names, string(r.Rest()))
	}
}

// Sections that refer to code by its position are dropped, and others are kept where
// they are.
func TestCustomSections(t *testing.T) {
	wasm := (&building{functions: []fn{{}}, custom: []string{
		"producers", ".debug_line", ".debug_info", "sourceMappingURL", "external_debug_info", "reloc.CODE", "linking",
		"metadata.code.branch_hint", "target_features", "debug", "mine",
	}}).wasm()
	out, _, err := rewrite.Module(wasm, metered)
	require.NoError(t, err)
	m, err := wasmbin.Parse(out)
	require.NoError(t, err)
	var names []string
	for _, s := range m.Sections {
		if s.ID == wasmbin.SectionCustom {
			r := s.Reader()
			names = append(names, r.Name())
			require.Equal(t, "content", string(r.Rest()))
		}
	}
	require.Equal(t, []string{"producers", "target_features", "debug", "mine"}, names)
}

func TestReport(t *testing.T) {
	b := &building{noTable: true, hide: true, imports: []wasmbin.FuncType{{}}, functions: []fn{
		{code: ops(i32, 1, drop)}, // a leaf
		{code: ops(call, 2)},      // calls itself
		{code: ops(loop, void, call, 1, br, 0, end)},
		{code: ops(i32, 0, indirect, 0, 0, i32, 0, i32, 0, i32, 0, wasmbin.OpMemoryFill, 0, call, 2, call, 3)},
	}}
	wasm := b.wasm()
	out, report, err := rewrite.Module(wasm, metered)
	require.NoError(t, err)
	chain := report.Chain
	require.Positive(t, chain)
	require.Equal(t, rewrite.Report{SizeBefore: len(wasm), SizeAfter: len(out), Functions: 4, Hook: 5, Leaves: 1, Charges: 3,
		Checks: 5, Lengths: 1, Counted: 1, Indirect: 1, Chain: chain}, *report)
}

// Without options, a module stays as it is.
func TestNoOptions(t *testing.T) {
	wasm := single(fn{})
	out, report, err := rewrite.Module(wasm, rewrite.Options{})
	require.NoError(t, err)
	require.Equal(t, wasm, out)
	require.Equal(t, rewrite.Report{SizeBefore: len(wasm), SizeAfter: len(wasm)}, *report)
}
