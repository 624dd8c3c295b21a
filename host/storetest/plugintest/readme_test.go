package plugintest_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/internal/readme"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

var update = flag.Bool("update", false, "write the table of checks in README.md")

// TestSections: every section that a check names is a heading of the
// specification, and every check says what is required.
func TestSections(t *testing.T) {
	spec, err := os.ReadFile("../../../abi/SPEC.md")
	require.NoError(t, err)
	seen := make(map[string]bool)
	for _, test := range plugintest.Tests() {
		require.Contains(t, string(spec), "\n## "+test.Section+"\n", test.Name)
		require.NotEmpty(t, test.Requires, test.Name)
		require.Regexp(t, `^[a-z]+/[a-z-]+$`, test.Name)
		require.False(t, seen[test.Name], "%s is there twice", test.Name)
		seen[test.Name] = true
	}
}

// TestTableOfChecks: the README lists all checks.
func TestTableOfChecks(t *testing.T) {
	readme.RequireTable(t, "README.md", plugintest.OwnTests(), *update)
}
