package wasmbin_test

import (
	"testing"

	"github.com/waddle-sessions/waddle/host/internal/moduletest"
)

// corpus is all modules in the tree: fixtures, engines, mutants of the conformance
// suite.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	return moduletest.Read(t, "../../..", "host/plugin/testdata/*.wasm", "host/engines/*/*.wasm.gz",
		"host/storetest/plugintest/testdata/mutants/wasm/*.wasm*")
}
