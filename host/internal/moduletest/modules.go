// Package moduletest reads the modules of this repository for tests.
package moduletest

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

// Read returns the modules under patterns, by their paths. Patterns and paths are below
// root, the root of the repository. Each pattern must match something.
func Read(t testing.TB, root string, patterns ...string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(root, pattern))
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
			path, err := filepath.Rel(root, file)
			require.NoError(t, err)
			all[filepath.ToSlash(path)] = wasm
		}
	}
	return all
}
