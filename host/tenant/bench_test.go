package tenant_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// BenchmarkReplace measures replacing the bundled memory engine by another instance of
// itself, while one goroutine writes: the whole of it, the time in which writes wait, and
// the longest that a write took.
func BenchmarkReplace(b *testing.B) {
	for _, kind := range []string{"move", "persist", "files"} {
		for _, sessions := range []int{1_000, 100_000} {
			if kind == "files" && sessions > 1_000 {
				continue
			}
			b.Run(fmt.Sprintf("%s-%d", kind, sessions), func(b *testing.B) {
				h, _ := newHost(b, tenant.HostConfig{Dir: b.TempDir(), Limits: tenant.Limits{Memory: 512 << 20}})
				m := bundled("alice", "memory")
				m.Limits.Memory = 512 << 20
				m.Persist = kind != "move"
				if kind == "files" {
					m.Plugin.Bundled = "dynfile"
				}
				made := deploy(b, h, m)
				s := made.Store()
				write := func(i int) error {
					now := store.At(time.Now())
					return s.Set(ctx, store.Write{Key: binary.BigEndian.AppendUint64(make([]byte, 24, 32), uint64(i)), Value: make([]byte, 300), Now: now, Expires: now + 3_600_000})
				}
				for i := range sessions {
					if err := write(i); err != nil {
						b.Fatal(err)
					}
				}
				var stop atomic.Bool
				var wait sync.WaitGroup
				var longest atomic.Int64
				wait.Go(func() {
					for i := 0; !stop.Load(); i++ {
						began := time.Now()
						if err := write(i % sessions); err != nil {
							b.Error(err)
							return
						}
						longest.Store(max(longest.Load(), int64(time.Since(began))))
						time.Sleep(20 * time.Microsecond)
					}
				})
				var pause time.Duration
				b.ResetTimer()
				for i := range b.N {
					m.Limits.Fuel = plugin.DefaultFuel - int64(i) - 1
					deploy(b, h, m)
					pause += made.Stats().LastPause
				}
				b.StopTimer()
				stop.Store(true)
				wait.Wait()
				b.ReportMetric(float64(pause.Microseconds())/float64(b.N), "pause-µs/op")
				b.ReportMetric(float64(longest.Load())/1000, "longest-write-µs")
			})
		}
	}
}

// BenchmarkStore measures what the tenant's store adds to its plugin's.
func BenchmarkStore(b *testing.B) {
	h, _ := newHost(b, tenant.HostConfig{})
	made := deploy(b, h, bundled("alice", "memory"))
	wasm, _ := memory.Module()
	bare, err := plugin.Open(ctx, wasm, plugin.Config{Logger: discard, Shards: 1, MemoryLimit: 64 << 20, Limits: plugin.StrictLimits(), Deadline: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close(ctx)
	for name, s := range map[string]store.Store{"plugin": bare, "tenant": made.Store()} {
		b.Run(name, func(b *testing.B) {
			key, now := make([]byte, 32), store.At(time.Now())
			if err := s.Set(ctx, store.Write{Key: key, Value: make([]byte, 300), Now: now, Expires: now + 3_600_000}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Get(ctx, key, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHandler measures what finding the tenant adds to a request.
func BenchmarkHandler(b *testing.B) {
	h, _ := newHost(b, tenant.HostConfig{})
	made := deploy(b, h, named("alice"))
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for name, handler := range map[string]http.Handler{"manager": made.Manager().Handler(next), "tenant": h.Handler(nil, next)} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "http://alice.localhost:8080/", nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(w, r)
			}
		})
	}
}
