package rewrite_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// bulk is a module that copies and fills as it is told.
func bulk() []byte {
	three := types(wasmbin.I32, wasmbin.I32, wasmbin.I32)
	return (&building{pages: 160, functions: []fn{
		{params: three, code: ops(get, 0, get, 1, get, 2, wasmbin.OpMemoryCopy, 0, 0)},
		{params: three, code: ops(get, 0, get, 1, get, 2, wasmbin.OpMemoryFill, 0)},
	}, change: func(m *wasmbin.Module) {
		all, _ := wasmbin.Items(m, wasmbin.SectionExport, (*wasmbin.Reader).Export)
		wasmbin.SetItems(m, wasmbin.SectionExport, append(all, wasmbin.Export{Name: "memory", Kind: wasmbin.KindMemory}))
	}}).wasm()
}

// What is copied or filled in pieces is what would be at once, overlapping or not, up to the
// end of memory and beyond.
func TestPieces(t *testing.T) {
	const mib, size = 1 << 20, 10 << 20
	wasm := bulk()
	plain, err := start(t, compiler(), wasm, rewrite.Options{})
	require.NoError(t, err)
	r, err := start(t, compiler(), wasm, metered)
	require.NoError(t, err)
	weight := map[string]int64{"f0": rewrite.Weight(wasmbin.OpMemoryCopy), "f1": rewrite.Weight(wasmbin.OpMemoryFill)}
	for _, name := range []string{"f0", "f1"} {
		for _, a := range [][3]uint64{
			{0, 0, 0}, {0, 7, 100}, {0, 7, mib}, {0, 7, mib + 1}, {0, 7, 3*mib + 5}, {5, 0, 3*mib + 5}, {3 * mib, 0, 3 * mib}, {mib + 3, 7, 8 * mib},
			{7, mib + 3, 8 * mib}, {0, 0, size}, {1, 0, size - 1}, {0, 1, size - 1}, {9, 9, 5 * mib}, {0, 2 * mib, 8 * mib}, {2 * mib, 0, 8 * mib},
			{1, 0, size}, {0, 1, size}, {size, 0, 1}, {size, 0, 0}, {0, size + 1, 0}, {2 * mib, 0, 1<<32 - 1}, {1<<32 - 1, 0, 2 * mib}, {0, 1<<32 - 1, 2 * mib}, {1<<32 - 1, 1<<32 - 1, 1<<32 - 1},
		} {
			t.Run(fmt.Sprint(name, a), func(t *testing.T) {
				var after [2][]byte
				var errs [2]error
				var used int64
				r.hooks = 0
				for i, r := range []*run{plain, r} {
					memory, _ := r.module.Memory().Read(0, size)
					for at := range memory {
						memory[at] = byte(at * 31 >> 3)
					}
					_, used, errs[i] = r.call(0, name, a[0], a[1], a[2])
					after[i] = memory
				}
				require.Equal(t, errs[0] == nil, errs[1] == nil)
				if errs[0] != nil {
					require.ErrorContains(t, errs[1], "out of bounds memory access")
				}
				require.True(t, string(after[0]) == string(after[1]))
				require.Equal(t, weight[name]+int64(a[2])/rewrite.BytesPerUnit, used)
				if errs[0] == nil {
					require.GreaterOrEqual(t, r.hooks, int(a[2]/(2*mib)), "the host has its turn in between")
				}
			})
		}
	}
}

// Copying and filling end with the budget, and not when they are done.
func TestPiecesEnd(t *testing.T) {
	r, err := start(t, compiler(), bulk(), metered)
	require.NoError(t, err)
	_, used, err := r.call(4*slice, "f1", 0, 1, 10<<20)
	require.ErrorIs(t, err, errFuel)
	require.Less(t, used, int64(6*slice+1<<17))
	memory, _ := r.module.Memory().Read(0, 10<<20)
	require.Equal(t, byte(1), memory[0])
	require.Equal(t, byte(0), memory[5<<20])
}
