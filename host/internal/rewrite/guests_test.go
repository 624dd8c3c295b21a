package rewrite_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/moduletest"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// guests are the bundled engines and the example guests, by their directories.
func guests(t testing.TB) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for path, wasm := range moduletest.Read(t, "../../..", "host/engines/*/*.wasm.gz", "examples/guests/*/store.wasm") {
		all[filepath.Base(filepath.Dir(path))] = wasm
	}
	return all
}

// contents are what the data section makes of the memory.
func contents(t testing.TB, wasm []byte) []byte {
	outline, err := preflight.Parse(wasm, preflight.Limits{})
	require.NoError(t, err)
	memory := make([]byte, outline.Memory.Min*pageSize)
	m, err := wasmbin.Parse(wasm)
	require.NoError(t, err)
	segments, err := wasmbin.Items(m, wasmbin.SectionData, (*wasmbin.Reader).Data)
	require.NoError(t, err)
	for _, s := range segments {
		r := wasmbin.NewReader(s.Offset[1:], 0)
		copy(memory[uint32(r.Signed(32)):], s.Bytes)
	}
	return memory
}

// Of the tens of thousands of segments that Go's linker writes, a few are left, and the
// module is not much larger.
func TestDataOfGuestsAreMerged(t *testing.T) {
	for name, before := range guests(t) {
		t.Run(name, func(t *testing.T) {
			after, report, err := rewrite.Module(before, rewrite.Options{MergeData: true})
			require.NoError(t, err)
			most := 40
			if name == "redis" || name == "postgres" {
				most = 48 // they have package net in them
			}
			require.LessOrEqual(t, report.SegmentsAfter, most)
			require.Less(t, len(after), len(before)*115/100)
			require.True(t, bytes.Equal(contents(t, before), contents(t, after)))
			t.Logf("%d segments become %d, %d bytes %d", report.SegmentsBefore, report.SegmentsAfter, len(before), len(after))
		})
	}
}

func BenchmarkMergeData(b *testing.B) {
	wasm := guests(b)["memory"]
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := rewrite.Module(wasm, rewrite.Options{MergeData: true}); err != nil {
			b.Fatal(err)
		}
	}
}
