package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/wasmtest"
)

const benchKeys = 2000

// BenchmarkEngine measures the module over a directory of this machine, through
// wazero's own mount.
func BenchmarkEngine(b *testing.B) {
	m := wasmtest.Compile(b, memoryLimit)
	i := m.Open(b, b.TempDir())
	v := value(1, 300)
	for n := range uint64(benchKeys) {
		require.Zero(b, i.Set(key(n), v, 0, 1, 0))
	}
	require.Zero(b, i.Save(1))
	keys := make([][]byte, benchKeys)
	for n := range keys {
		keys[n] = key(uint64(n))
	}

	b.Run("get", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			i.Get(keys[n%benchKeys], 1)
		}
	})
	b.Run("get absent", func(b *testing.B) {
		k := key(benchKeys)
		for b.Loop() {
			i.Get(k, 1)
		}
	})
	b.Run("set", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if i.Set(keys[n%benchKeys], v, 0, 1, 0) != 0 {
				b.Fatal(m.Failed)
			}
		}
	})
	require.Zero(b, i.Save(1))
	b.Run("get and set", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			i.Get(keys[n%benchKeys], 1)
			if i.Set(keys[n%benchKeys], v, 0, 1, 1) != 0 {
				b.Fatal(m.Failed)
			}
		}
	})
	require.Zero(b, i.Save(1))
	b.Run("set new and delete", func(b *testing.B) {
		for n := uint64(benchKeys); b.Loop(); n++ {
			k := key(n)
			if i.Set(k, v, 0, 1, abi.ExpectAbsent) != 0 || i.Delete(k, 1) != 0 {
				b.Fatal(m.Failed)
			}
		}
	})
	b.Run("set and save", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if i.Set(keys[n%benchKeys], v, 0, 1, 0) != 0 || i.Save(1) != 0 {
				b.Fatal(m.Failed)
			}
		}
	})
}

// BenchmarkPlain is the minimum that other engines do: write a file anew,
// without a sync, with one, and in the way that survives a power loss.
func BenchmarkPlain(b *testing.B) {
	v := value(1, 348)
	dir := b.TempDir()
	name := func(n int) string {
		return filepath.Join(dir, "session_"+string(rune('a'+n%26))+string(rune('a'+n/26%26)))
	}
	for n := range 26 * 26 {
		require.NoError(b, os.WriteFile(name(n), v, 0o600))
	}
	b.Run("write", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if err := os.WriteFile(name(n), v, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if _, err := os.ReadFile(name(n)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write sync rename sync", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			f, err := os.Create(filepath.Join(dir, "new"))
			require.NoError(b, err)
			_, err = f.Write(v)
			require.NoError(b, err)
			require.NoError(b, f.Sync())
			require.NoError(b, f.Close())
			require.NoError(b, os.Rename(f.Name(), name(n)))
			d, err := os.Open(dir)
			require.NoError(b, err)
			require.NoError(b, d.Sync())
			require.NoError(b, d.Close())
		}
	})
}
