package site

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShort(t *testing.T) {
	for ns, want := range map[float64]string{1: "1 ns", 9.876: "9.88 ns", 45.8: "45.8 ns", 100: "100 ns", 1110: "1.11 µs", 52_200: "52.2 µs", 3e6: "3 ms", 2.5e9: "2.5 s"} {
		require.Equal(t, want, short(ns))
	}
}

// The plots are drawn from the results, whatever they are: a faster subject has a shorter
// bar and comes first.
func TestPlots(t *testing.T) {
	withContents(t, "Start\n  README.md\n  results  Benchmarks\n")
	root := checkout(t, map[string]string{"README.md": "# Home\n"})
	file := filepath.Join(t.TempDir(), "results.json")
	out := filepath.Join(t.TempDir(), "out")
	build := func(text string) error {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		_, err := Build(Options{Root: root, Out: out, Ref: "abc", Results: file})
		return err
	}
	require.NoError(t, build(`{"time": "2026-03-04T05:06:07Z", "machine": {"cpu": "A <fast> one", "cores": 2}, "versions": {"other/lib": "v1"}, "requests": [
		{"subject": "other", "operation": "read", "cores": 1, "cpu_ns": 40000, "ns": 1, "ns_low": 1, "ns_high": 2},
		{"subject": "other", "operation": "read", "cores": 2, "cpu_ns": 77, "ns": 1},
		{"subject": "control, arithmetic only", "operation": "read", "cores": 1, "cpu_ns": 3, "ns": 3},
		{"subject": "waddle, native store", "operation": "read", "cores": 1, "cpu_ns": 2000, "ns": 1}]}`))
	page := read(t, out, "benchmarks.html")
	require.Contains(t, page, "4 March 2026")
	require.Contains(t, page, "A &lt;fast&gt; one")
	require.Regexp(t, `(?s)waddle, native store</text><rect class="bar ours"[^>]* width="(\d+)\..*?>2 µs</text>.*other</text><rect class="bar"[^>]* width="(\d+)\..*?>40 µs</text>`, page)
	require.NotContains(t, page, "control, arithmetic")
	require.NotContains(t, page, "77 ns")
	require.NotContains(t, page, `id="write"`)
	require.Contains(t, page, "<code>other/lib</code> v1")

	// Ten times the time is everywhere the same distance along the axis.
	require.NoError(t, build(`{"requests": [{"subject": "a", "operation": "read", "cpu_ns": 100}, {"subject": "b", "operation": "read", "cpu_ns": 1000}, {"subject": "c", "operation": "read", "cpu_ns": 10000}]}`))
	require.Regexp(t, `(?s)width="163\.3".*width="326\.7".*width="490\.0"`, read(t, out, "benchmarks.html"))

	require.ErrorContains(t, build(`{"requests": []}`), "has no requests")
	require.ErrorContains(t, build(`{"requests": 1}`), "results.json")
	require.NoError(t, os.Remove(file))
	_, err := Build(Options{Root: root, Out: out, Ref: "abc", Results: file})
	require.ErrorIs(t, err, os.ErrNotExist)
}
