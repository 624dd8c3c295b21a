package wasmbin_test

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

// corpus is all modules in the tree: fixtures, engines, mutants of the conformance
// suite.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, pattern := range []string{"plugin/testdata/*.wasm", "engines/*/*.wasm.gz", "storetest/plugintest/testdata/mutants/wasm/*.wasm*"} {
		files, err := filepath.Glob("../../" + pattern)
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
			all[file] = wasm
		}
	}
	return all
}
