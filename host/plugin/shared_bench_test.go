package plugin_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/moduletest"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// BenchmarkShared compares a get on an instance of its own with one on a shared executor: alone,
// in turns with another plugin, and after sleep.
func BenchmarkShared(b *testing.B) {
	modules := moduletest.Read(b, "../..", "host/engines/memory/memory.wasm.gz", "examples/guests/c/store.wasm")
	for path, wasm := range modules {
		for _, trusted := range []bool{true, false} {
			name := fmt.Sprintf("%s/trusted=%v/", path, trusted)
			plugins := func(b *testing.B, shared bool) [2]*plugin.Plugin {
				h := plugin.NewHost(plugin.HostConfig{})
				b.Cleanup(func() { require.NoError(b, h.Close(ctx)) })
				config := quiet()
				config.Host, config.Shared, config.Shards, config.Trusted, config.FuelRate = h, shared, 1, trusted, 0
				var all [2]*plugin.Plugin
				for i := range all {
					all[i] = open(b, wasm, config)
					for k := range 10 {
						require.NoError(b, all[i].Set(ctx, store.Write{Key: fmt.Appendf(nil, "0123456789abcdef0123456789abcd%02d", k), Value: make([]byte, 300), Now: 1}))
					}
				}
				return all
			}
			k := []byte("0123456789abcdef0123456789abcd05")
			get := func(b *testing.B, p *plugin.Plugin) {
				if _, err := p.Get(ctx, k, 1); err != nil {
					b.Fatal(err)
				}
			}
			for _, shared := range []bool{false, true} {
				b.Run(name+fmt.Sprintf("shared=%v", shared), func(b *testing.B) {
					p := plugins(b, shared)
					b.ReportAllocs()
					for b.Loop() {
						get(b, p[0])
					}
				})
			}
			b.Run(name+"switch", func(b *testing.B) {
				p := plugins(b, true)
				b.ReportAllocs()
				for b.Loop() {
					get(b, p[0])
					get(b, p[1])
				}
			})
			b.Run(name+"wake", func(b *testing.B) {
				p := plugins(b, true)
				for b.Loop() {
					if err := p[0].Sleep(ctx); err != nil {
						b.Fatal(err)
					}
					get(b, p[0])
				}
			})
		}
	}
}
