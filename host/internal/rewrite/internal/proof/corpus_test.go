package proof_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/moduletest"
)

// repository is the root of the tree.
const repository = "../../../../../"

// modules are those of the tree under some patterns, by their paths.
func modules(t testing.TB, patterns ...string) map[string][]byte {
	t.Helper()
	return moduletest.Read(t, repository, patterns...)
}

// guests are the bundled engines, and the example in five languages.
func guests(t testing.TB) map[string][]byte {
	t.Helper()
	all := modules(t, "host/engines/*/*.wasm.gz", "examples/guests/*/store.wasm")
	require.GreaterOrEqual(t, len(all), 8)
	return all
}
