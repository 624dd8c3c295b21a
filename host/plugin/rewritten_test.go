package plugin

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRewriting: what is told of a module is what a plugin of it runs.
func TestRewriting(t *testing.T) {
	wasm, err := os.ReadFile("testdata/store.wasm")
	require.NoError(t, err)
	metered, err := Rewriting(wasm, false)
	require.NoError(t, err)
	plain, err := Rewriting(wasm, true)
	require.NoError(t, err)
	require.Positive(t, metered.Checks)
	require.Zero(t, plain.Checks)
	for trusted, told := range map[bool]*Rewritten{false: metered, true: plain} {
		p, err := Open(t.Context(), wasm, Config{Trusted: trusted, NoCache: true, Shards: 1})
		require.NoError(t, err)
		require.Equal(t, []string{number(told.Hook), number(told.Entry)}, p.machine.compiled.numbers)
		require.NoError(t, p.Close(t.Context()))
	}

	for trusted, told := range map[bool]*Rewritten{false: metered, true: plain} {
		require.NotEmpty(t, told.Movable, "trusted: %v", trusted)
		require.Empty(t, told.Fixed)
		require.Positive(t, told.MaxMemory)
	}

	start, err := os.ReadFile("testdata/start.wasm")
	require.NoError(t, err)
	_, err = Rewriting(start, false)
	require.ErrorIs(t, err, ErrFeature)
}

func number(index uint32) string { return fmt.Sprintf("$%d", index) }
