package main_test

import (
	"testing"

	"github.com/waddle-sessions/waddle/guest/engines/internal/wasmtest"
)

// The engine as a host calls it: the benchmark writes key and value into the
// module and looks at a value where it lies.
func BenchmarkModule(b *testing.B) {
	const records, size = 1000, 300
	i := wasmtest.Compile(b, 64<<20).Open(b, "")
	value := make([]byte, size)
	keys, absent := make([][]byte, records), make([][]byte, records)
	for n := range records {
		keys[n], absent[n] = hashed(n), hashed(n+records)
		i.Set(keys[n], value, 0, 1, 0)
	}
	b.Run("get", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if _, code := i.Get(keys[n%records], 1); code != 0 {
				b.Fatal(code)
			}
		}
	})
	b.Run("get of an absent record", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			i.Get(absent[n%records], 1)
		}
	})
	b.Run("set", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if code := i.Set(keys[n%records], value, 0, 1, 0); code != 0 {
				b.Fatal(code)
			}
		}
	})
	b.Run("create and evict", func(b *testing.B) {
		full := wasmtest.Compile(b, 8<<20).Open(b, "")
		for n := range 20_000 {
			full.Set(hashed(n), value, 0, 1, 0)
		}
		fresh := make([][]byte, 1<<16)
		for n := range fresh {
			fresh[n] = hashed(n + 1<<20)
		}
		b.ResetTimer()
		for n := 0; b.Loop(); n++ {
			if code := full.Set(fresh[n%len(fresh)], value, 0, 1, 0); code != 0 {
				b.Fatal(code)
			}
		}
	})
}
