package main

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestFindGuests(t *testing.T) {
	module := &fstest.MapFile{}
	languages, err := findGuests(fstest.MapFS{"zig/store.wasm": module, "go/store.wasm": module, "go/store.go": module, "README.md": module})
	require.NoError(t, err)
	require.Equal(t, []string{"go", "zig"}, languages)

	_, err = findGuests(fstest.MapFS{"zig/store.wasm": module})
	require.ErrorContains(t, err, `no go/store.wasm among ["zig"]`)
}
