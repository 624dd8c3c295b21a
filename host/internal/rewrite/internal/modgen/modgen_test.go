package modgen_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// The same seed makes the same module, and so do the same bytes.
func TestTheSameAgain(t *testing.T) {
	for seed := range uint64(50) {
		shape := []byte{byte(seed), 7, 200, 3, 0, 1}
		require.Equal(t, modgen.New(seed, shape), modgen.New(seed, shape))
		require.NotEqual(t, modgen.New(seed, nil), modgen.New(seed+1, nil))
	}
}

// What makes modules hard is in them.
func TestWhatModulesHave(t *testing.T) {
	count := make(map[string]int)
	for seed := range uint64(300) {
		m, err := wasmbin.Parse(modgen.New(seed, nil).Wasm)
		require.NoError(t, err)
		for _, s := range m.Sections {
			count["section "+wasmbin.SectionName(s.ID)]++
		}
		bodies, err := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
		require.NoError(t, err)
		for _, body := range bodies {
			w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
			for groups := w.Count("groups"); groups > 0; groups-- {
				w.Locals()
			}
			ended := false
			for w.Begin(); w.Next(); {
				count[w.Op.String()]++
				if w.Depth() > 6 {
					count["deep"]++
				}
				if w.Op.Layout() == wasmbin.LayoutBlockType && w.Type == 0 {
					count["block with a type"]++
				}
				if ended && w.Op != wasmbin.OpEnd && w.Op != wasmbin.OpElse {
					count["unreachable"]++
				}
				ended = w.Op == wasmbin.OpBr || w.Op == wasmbin.OpReturn
			}
			require.NoError(t, w.Err)
		}
	}
	for _, what := range []string{"section start", "section element", "section data", "section data count", "section custom", "section import", "deep",
		"block with a type", "unreachable", "loop", "if", "else", "br", "br_if", "br_table", "return", "call", "call_indirect", "drop", "select",
		"local.tee", "global.set", "memory.grow", "memory.size", "memory.copy", "memory.fill", "memory.init", "data.drop", "table.init", "table.copy",
		"elem.drop", "unreachable", "i32.div_s", "i64.rem_u", "i32.load8_s", "i64.store32", "v128.load", "f64.const"} {
		require.Greater(t, count[what], 5, what)
	}
}
