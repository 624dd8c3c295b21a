package dynfile_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

func benched(b *testing.B, d plugin.Durability, shards int, settings map[string]string) *plugin.Plugin {
	p, err := dynfile.Open(b.Context(), b.TempDir(), plugin.Config{Durability: d, Shards: shards, GuestConfig: settings,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(b, err)
	b.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func benchKey(n uint64) []byte {
	key := make([]byte, 32)
	for i := range 4 {
		binary.LittleEndian.PutUint64(key[8*i:], (n+uint64(i))*0x9e3779b97f4a7c15)
	}
	return key
}

// BenchmarkSyncedWrites makes every write durable, by one writer and by 64, for one shard
// and for four. The writers go on until all have made b.N writes together.
func BenchmarkSyncedWrites(b *testing.B) {
	for _, shards := range []int{1, 4} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("shards=%d/writers=%d", shards, writers), func(b *testing.B) {
				p := benched(b, plugin.DurabilityCommit, shards, nil)
				value := make([]byte, 300)
				var made atomic.Int64
				var all sync.WaitGroup
				b.ResetTimer()
				for w := range writers {
					all.Go(func() {
						for n := uint64(w) << 32; made.Add(1) <= int64(b.N); n++ {
							if err := p.Set(b.Context(), store.Write{Key: benchKey(n % (1 << 40)), Value: value, Now: 1}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/float64(p.Stats().Ops["save"].Calls), "writes/save")
			})
		}
	}
}

// BenchmarkGet reads sessions that are in memory, and sessions of which none is, beside the
// engine that keeps all in memory.
func BenchmarkGet(b *testing.B) {
	for _, c := range []struct {
		name string
		open func() *plugin.Plugin
	}{
		{"in memory", func() *plugin.Plugin { return benched(b, plugin.DurabilityClose, 1, nil) }},
		{"from the file", func() *plugin.Plugin {
			return benched(b, plugin.DurabilityClose, 1, map[string]string{"cache_bytes": "0"})
		}},
		{"engine memory", func() *plugin.Plugin {
			p, err := memory.Open(b.Context(), plugin.Config{Shards: 1})
			require.NoError(b, err)
			b.Cleanup(func() { p.Close(context.Background()) })
			return p
		}},
	} {
		p := c.open()
		const sessions = 1000
		keys := make([][]byte, sessions)
		for n := range keys {
			keys[n] = benchKey(uint64(n))
			require.NoError(b, p.Set(b.Context(), store.Write{Key: keys[n], Value: make([]byte, 300), Now: 1}))
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := p.Get(b.Context(), keys[n%sessions], 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
