package main_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/wasmtest"
)

// Two copies do not give what they move aside the same names.
func TestCopiesHaveNamesOfTheirOwn(t *testing.T) {
	m := wasmtest.Compile(t, memoryLimit)
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := m.Copies(t, dirs...)
	var names []string
	for n, i := range []*wasmtest.Instance{a, b} {
		require.Zero(t, i.Open())
		require.Zero(t, i.Set(key(1), value(1, 100), 0, 1, 0))
		require.Zero(t, i.Clear(1))
		moved, err := filepath.Glob(filepath.Join(dirs[n], "trash-*"))
		require.NoError(t, err)
		require.Len(t, moved, 1)
		names = append(names, filepath.Base(moved[0]))
	}
	require.NotEqual(t, names[0], names[1])
}
