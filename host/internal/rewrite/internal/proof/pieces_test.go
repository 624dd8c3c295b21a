package proof_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// bulkModule exports functions that copy, fill and write memory as their parameters say.
func bulkModule(pages uint64) []byte {
	const i32 = wasmbin.I32
	m := new(wasmbin.Module)
	var bodies []wasmbin.Body
	for _, op := range []wasmbin.Opcode{wasmbin.OpMemoryCopy, wasmbin.OpMemoryFill} {
		var c wasmbin.Code
		for i := range uint32(3) {
			c.Op(wasmbin.OpLocalGet, i)
		}
		if c.Op(op, 0); op == wasmbin.OpMemoryCopy {
			c = append(c, 0)
		}
		bodies = append(bodies, c.Body())
	}
	wasmbin.SetItems(m, wasmbin.SectionType, []wasmbin.FuncType{{Params: []wasmbin.ValueType{i32, i32, i32}}})
	wasmbin.SetItems(m, wasmbin.SectionFunction, []wasmbin.Index{0, 0})
	wasmbin.SetItems(m, wasmbin.SectionMemory, []wasmbin.Memory{{Limits: wasmbin.Limits{Min: pages}}})
	wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: "copy"}, {Name: "fill", Index: 1}, {Name: "memory", Kind: wasmbin.KindMemory}})
	wasmbin.SetItems(m, wasmbin.SectionCode, bodies)
	return m.Append(nil)
}

// TestLargeLengths copies and fills megabytes, which may be done in parts: overlapping
// in both directions, up to the end of memory and beyond, and with too little fuel.
func TestLargeLengths(t *testing.T) {
	const pages = 64
	size := uint64(pages << 16)
	wasm := bulkModule(pages)
	metered, report := rewritten(t, wasm, rewrite.Options{Meter: true})
	before := make([]byte, size)
	for i := range before {
		before[i] = byte(i*7) + byte(i>>9)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for engine := range engines {
		ctx := context.Background()
		open := func(wasm []byte, hook uint32) func(m *meter, export string, args []uint64) (memory uint64, why string) {
			r := wazero.NewRuntimeWithConfig(ctx, engines[engine]().WithCoreFeatures(guestFeatures))
			t.Cleanup(func() { _ = r.Close(ctx) })
			code, err := r.CompileModule(hooked(ctx, hook), wasm)
			require.NoError(t, err)
			mod, err := r.InstantiateModule(new(meter).with(ctx), code, wazero.NewModuleConfig().WithName(""))
			require.NoError(t, err)
			content, _ := mod.Memory().Read(0, uint32(size))
			return func(m *meter, export string, args []uint64) (uint64, string) {
				copy(content, before)
				call := ctx
				if m != nil {
					call = m.with(ctx)
					m.begin(mod)
				}
				_, err := mod.ExportedFunction(export).Call(call, args...)
				if m != nil {
					m.end(mod)
				}
				return hash(content), reason(err)
			}
		}
		plain, rewrote := open(wasm, 1<<30), open(metered, report.Hook)
		entry := int64(-1)
		for i := range 40 {
			export := []string{"copy", "fill"}[i%2]
			length := []uint64{1 << 20, 1<<20 - 1, 1<<20 + 1, rng.Uint64N(size), rng.Uint64N(3 << 20), size, size + 1, 1<<32 - 1, 2 << 20, 8}[i/2%10]
			room := size - min(length, size)
			to := []uint64{rng.Uint64N(room + 1), room, room + 1, rng.Uint64N(room/2 + 1)}[rng.IntN(4)]
			from := []uint64{rng.Uint64N(room + 1), min(to+8, room), to, max(to, 1<<20+3) - (1<<20 + 3)}[rng.IntN(4)]
			args := []uint64{to, from, length}
			what := fmt.Sprintf("%s: %s %d", engine, export, args)
			wantMemory, wantWhy := plain(nil, export, args)
			for _, slice := range []int64{1000, 1 << 40} {
				m := &meter{budget: 1 << 40, slice: slice, depth: plenty}
				memory, why := rewrote(m, export, args)
				require.Equal(t, wantWhy, why, what)
				require.Equal(t, wantMemory, memory, what)
				if entry < 0 {
					entry = m.used - int64(length)/rewrite.BytesPerUnit
				}
				if export == "copy" || i > 1 {
					require.Equal(t, entry+int64(length)/rewrite.BytesPerUnit, m.used, what)
				}
			}
			if length > 2<<20 {
				m := &meter{budget: entry + int64(length)/rewrite.BytesPerUnit/2, slice: 1 << 20, depth: plenty}
				_, why := rewrote(m, export, args)
				require.Equal(t, errFuel.Error(), why, what)
				require.Greater(t, m.used, m.budget, what)
			}
		}
	}
}
