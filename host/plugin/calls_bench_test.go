package plugin_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// BenchmarkEmptyCall measures the way to a guest and back: it has nothing to do and nothing to
// return. The first is that of wazero alone, which no host can go below.
func BenchmarkEmptyCall(b *testing.B) {
	wasm := guest(b, "alloc_once")
	b.Run("wazero", func(b *testing.B) {
		r := wazero.NewRuntime(ctx)
		defer r.Close(ctx)
		m, err := r.Instantiate(ctx, wasm)
		require.NoError(b, err)
		get, stack := m.ExportedFunction(abi.ExportGet), make([]uint64, 3)
		b.ReportAllocs()
		for b.Loop() {
			stack[0], stack[1], stack[2] = 1024, 32, 1
			if err := get.CallWithStack(ctx, stack); err != nil || int64(stack[0]) != -1 {
				b.Fatal(err)
			}
		}
	})
	for how, trust := range trusts {
		b.Run(how, func(b *testing.B) {
			config := quiet()
			trust(&config)
			p := open(b, wasm, config)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Get(ctx, benchKey, 1); err != store.ErrNotFound {
					b.Fatal(err)
				}
			}
		})
	}
}
