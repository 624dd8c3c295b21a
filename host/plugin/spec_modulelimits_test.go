package plugin_test

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// limitRows are the rows of section 11 with the limits of a module, by the field of
// preflight.Limits.
var limitRows = map[string]string{
	"Module":        "the binary",
	"Types":         "function types",
	"Params":        "parameters of a type, and results of one",
	"Imports":       "imports",
	"Functions":     "functions, without imports",
	"Globals":       "globals",
	"Exports":       "exports",
	"Elements":      "entries of all element segments",
	"Segments":      "data segments",
	"Table":         "entries of the table at first",
	"Name":          "a name of an import or export",
	"Body":          "one function's body",
	"Locals":        "locals of one function, its parameters not counted",
	"Depth":         "nested blocks of one function",
	"Branches":      "blocks and branches of one function",
	"AllLocals":     "locals, parameters and results of all functions together",
	"CompileCost":   "the host's estimate of the work of compiling it, in units of its own",
	"CompileMemory": "the host's estimate of the memory for compiling it",
}

// TestSpecModuleLimits: the table has each limit for a module, with its number, and no
// other.
func TestSpecModuleLimits(t *testing.T) {
	_, after, ok := strings.Cut(specSection(t, sectionLimits), "### The module")
	require.True(t, ok)
	said := make(map[string]int64)
	for _, row := range rowsOf(after) {
		number, unit, _ := strings.Cut(row[1], " ")
		n, err := strconv.ParseInt(strings.ReplaceAll(number, ",", ""), 10, 64)
		require.NoError(t, err, row)
		require.Contains(t, []string{"", "KiB", "MiB"}, unit)
		said[row[0]] = n << map[string]int{"": 0, "KiB": 10, "MiB": 20}[unit]
	}
	limits := reflect.ValueOf(preflight.DefaultLimits())
	var fields []string
	for i := range limits.NumField() {
		field := limits.Type().Field(i).Name
		fields = append(fields, field)
		row, ok := limitRows[field]
		if !ok {
			t.Errorf("preflight.Limits has %s = %d, for which section 11 of SPEC.md and limitRows have no row", field, limits.Field(i).Int())
			continue
		}
		if n, ok := said[row]; !ok {
			t.Errorf("section 11 of SPEC.md has no row %q, for preflight.Limits.%s = %d", row, field, limits.Field(i).Int())
		} else if n != limits.Field(i).Int() {
			t.Errorf("section 11 of SPEC.md says %d for %q, and preflight.DefaultLimits has %s = %d", n, row, field, limits.Field(i).Int())
		}
		delete(said, row)
	}
	require.Empty(t, said, "rows for which preflight.Limits has no field")
	for field := range limitRows {
		require.True(t, slices.Contains(fields, field), "limitRows has %s, and preflight.Limits has not", field)
	}
}
