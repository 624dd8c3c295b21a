package protocol_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/waddle-sessions/waddle/"

// A protocol that knew its runtime would serve only that one.
func TestProtocolKnowsNoRuntime(t *testing.T) {
	for _, line := range list(t, "-deps", module+"host/internal/protocol") {
		name, _, _ := strings.Cut(line, " ")
		require.False(t, strings.HasPrefix(name, "github.com/tetratelabs/"), name)
		require.False(t, strings.HasPrefix(name, module+"host/plugin"), name)
	}
}

// Only plugin, of the host's packages, imports wazero.
func TestWhoImportsWazero(t *testing.T) {
	var importers []string
	for _, line := range list(t, module+"host/...") {
		name, imports, _ := strings.Cut(line, " ")
		if strings.Contains(imports, "github.com/tetratelabs/wazero") {
			importers = append(importers, strings.TrimPrefix(name, module))
		}
	}
	require.NotEmpty(t, importers)
	for _, name := range importers {
		require.True(t, name == "host/plugin" || strings.HasPrefix(name, "host/plugin/internal/"), name)
	}
}

// list returns packages, each with its imports.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the go command")
	}
	out, err := exec.Command("go", append([]string{"list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}"}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
