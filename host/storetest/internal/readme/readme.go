// Package readme checks the tables of checks in README files against the actual
// checks.
package readme

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest"
)

const (
	begin = "<!-- checks: written by go test -update -->\n"
	end   = "<!-- end of checks -->\n"
)

// Table writes the checks, one per row.
func Table(tests []storetest.Test) string {
	var b strings.Builder
	b.WriteString("\n| check | section of SPEC.md | requires that |\n|---|---|---|\n")
	for _, t := range tests {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", t.Name, t.Section, strings.ReplaceAll(t.Requires, "|", `\|`))
	}
	b.WriteString("\n")
	return b.String()
}

// RequireTable fails the test if the table between the marks of a file differs.
// With update, it writes the table instead.
func RequireTable(t *testing.T, file string, tests []storetest.Test, update bool) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	// This also holds on a machine whose checkout has other line endings.
	before, rest, ok := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), begin)
	require.True(t, ok, "%s has no line %q", file, begin)
	table, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "%s has no line %q", file, end)
	if update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+Table(tests)+end+after), 0o644))
		return
	}
	require.Equal(t, Table(tests), table, "the table in %s is out of date: go test -update writes it", file)
}
