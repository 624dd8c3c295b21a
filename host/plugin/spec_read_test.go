package plugin_test

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// These functions read abi/SPEC.md.

// specSection returns a section of the specification, by its number.
func specSection(t testing.TB, number int) string {
	t.Helper()
	b, err := os.ReadFile("../../abi/SPEC.md")
	require.NoError(t, err)
	parts := regexp.MustCompile(`(?m)^## \d+\. `).Split(string(b), -1)
	require.Greater(t, len(parts), number)
	return parts[number]
}

// specRows returns the cells of all table rows of a section, heads left out.
func specRows(t testing.TB, number int) (rows [][]string) {
	t.Helper()
	return rowsOf(specSection(t, number))
}

// specRowsOf returns the rows under the heading of a function.
func specRowsOf(t testing.TB, number int, function string) [][]string {
	t.Helper()
	_, after, ok := strings.Cut(specSection(t, number), "### `"+function+" ")
	require.True(t, ok, function)
	under, _, _ := strings.Cut(after, "\n### ")
	return rowsOf(under)
}

func rowsOf(text string) (rows [][]string) {
	head := true
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			head = true
		case strings.HasPrefix(line, "|--"):
			head = false
		case !head:
			var cells []string
			for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// specRow returns the cells of the row that begins with a text.
func specRow(t testing.TB, number int, first string) []string {
	t.Helper()
	for _, row := range specRows(t, number) {
		if strings.HasPrefix(row[0], first) {
			return row
		}
	}
	require.Fail(t, "no such row", "%q in section %d", first, number)
	return nil
}

// specNumbers returns what a pattern captures in a text, as numbers.
func specNumbers(t testing.TB, pattern, text string) (numbers []int) {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(strings.Join(strings.Fields(text), " "))
	require.NotNil(t, m, "%s is not said in: %s", pattern, text)
	for _, s := range m[1:] {
		n, err := strconv.Atoi(strings.NewReplacer(" ", "", "\u00a0", "", "\u2009", "", "\u202f", "").Replace(s))
		require.NoError(t, err)
		numbers = append(numbers, n)
	}
	return numbers
}

// specFunctions returns the functions in the headings of a section.
func specFunctions(t testing.TB, number int) (functions []specFunction) {
	t.Helper()
	headings := regexp.MustCompile("(?m)^### `(\\w+) \\(([^)]*)\\) → ([^`]*)`$").FindAllStringSubmatch(specSection(t, number), -1)
	for _, m := range headings {
		f := specFunction{name: m[1]}
		waiting := 0
		for _, part := range strings.Split(m[2], ",") {
			words := strings.Fields(part)
			if len(words) > 0 {
				waiting++
			}
			if len(words) == 2 { // "cfg_ptr, cfg_len i32": the type holds for all since the last one
				f.params = append(f.params, bytes.Repeat([]byte{specType(t, words[1])}, waiting)...)
				waiting = 0
			}
		}
		require.Zero(t, waiting, "%s: parameters without a type", m[1])
		if m[3] != "()" {
			f.results = []byte{specType(t, m[3])}
		}
		functions = append(functions, f)
	}
	return functions
}

func specType(t testing.TB, name string) byte {
	types := map[string]byte{"i32": typeI32, "i64": typeI64}
	require.Contains(t, types, name)
	return types[name]
}

const (
	sectionModule, sectionLife, sectionMemory, sectionCodes, sectionRequired = 1, 2, 3, 4, 7
	sectionOptional, sectionConfig, sectionImports                           = 8, 9, 10
	sectionLimits, sectionShards, sectionCopying                             = 11, 12, 13
)
