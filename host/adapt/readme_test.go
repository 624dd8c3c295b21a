package adapt_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table of README.md")

// rows has the frameworks in the order of the table.
var rows = []string{"net/http", "chi", "gin", "echo v5", "echo v4", "fiber v3", "connect", "grpc-gateway"}

// framework is what the tests of a framework have written about it.
type framework struct {
	name       string
	behaviours []string
	cells      map[string]string // "yes", or "no" with a reason
}

// README.md has the table of what the frameworks' tests have found.
func TestTable(t *testing.T) {
	var found []framework
	for _, pattern := range []string{"*", "../../examples/frameworks/*"} {
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(pattern), "testdata", "table.txt"))
		require.NoError(t, err)
		for _, file := range files {
			found = append(found, readTable(t, file))
		}
	}
	require.NotEmpty(t, found)
	for _, f := range found {
		require.Contains(t, rows, f.name, "the test has no place for this framework")
		require.Equal(t, found[0].behaviours, f.behaviours, "the behaviours of %s", f.name)
	}
	slices.SortFunc(found, func(a, b framework) int { return slices.Index(rows, a.name) - slices.Index(rows, b.name) })

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	place := regexp.MustCompile(`(?s)(\n<!-- The table is made from [^\n]*-->\n).*?(\n\n` + "`yes`" + ` means)`)
	require.Regexp(t, place, string(readme))
	want := place.ReplaceAllStringFunc(string(readme), func(old string) string {
		parts := place.FindStringSubmatch(old)
		return parts[1] + strings.TrimSuffix(compose(found), "\n") + parts[2]
	})
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(readme), "the table; run the test with -update to write it")
}

func readTable(t *testing.T, file string) framework {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	f := framework{cells: make(map[string]string)}
	for line := range strings.Lines(string(data)) {
		key, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
		require.True(t, ok, "%s: found the line %q, want a name and a text after a colon", file, line)
		if key == "framework" {
			f.name = text
			continue
		}
		require.Regexp(t, `^(yes|no: .+)$`, text, "%s: what works of %s", file, key)
		f.behaviours = append(f.behaviours, key)
		f.cells[key] = text
	}
	return f
}

// compose writes the table, and below it the reasons of what does not work.
func compose(frameworks []framework) string {
	var table, reasons strings.Builder
	fmt.Fprintf(&table, "| | %s |\n|---%s|\n", strings.Join(frameworks[0].behaviours, " | "), strings.Repeat("|---", len(frameworks[0].behaviours)))
	n := 0
	for _, f := range frameworks {
		fmt.Fprintf(&table, "| %s", f.name)
		for _, b := range f.behaviours {
			cell := f.cells[b]
			if why, isNo := strings.CutPrefix(cell, "no: "); isNo {
				n++
				cell = fmt.Sprintf("no (%d)", n)
				fmt.Fprintf(&reasons, "\n%d. %s, %s: %s\n", n, f.name, b, why)
			}
			fmt.Fprintf(&table, " | %s", cell)
		}
		table.WriteString(" |\n")
	}
	return table.String() + strings.ReplaceAll(reasons.String(), "\n\n", "\n")
}
