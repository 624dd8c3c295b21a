package proof_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is the root of the tree.
const repository = "../../../../../"

// modules are those of the tree under some patterns, by their paths.
func modules(t testing.TB, patterns ...string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, pattern := range patterns {
		files, err := filepath.Glob(repository + pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			wasm, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, ".gz") {
				z, err := gzip.NewReader(bytes.NewReader(wasm))
				require.NoError(t, err)
				wasm, err = io.ReadAll(z)
				require.NoError(t, err)
			}
			all[strings.TrimPrefix(file, repository)] = wasm
		}
	}
	return all
}

// guests are the bundled engines, and the example in five languages.
func guests(t testing.TB) map[string][]byte {
	t.Helper()
	all := modules(t, "host/engines/*/*.wasm.gz", "examples/guests/*/store.wasm")
	require.GreaterOrEqual(t, len(all), 8)
	return all
}
