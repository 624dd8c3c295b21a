package plugintest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// TestFuel: what operations use is the same on every machine. The module in C draws no
// random numbers and reads no clock. Its figures change if its code or the weights of the
// meter change; put them right here then.
func TestFuel(t *testing.T) {
	t.Parallel()
	wasm, err := os.ReadFile("../../../examples/guests/c/store.wasm")
	require.NoError(t, err)
	o := storetest.Options{Dir: t.TempDir(), Skip: skipAll(), Seed: 1}
	want := []storetest.Fuel{
		{Operation: "open", Calls: 1, Median: 22960, Most: 22960},
		{Operation: "set", Calls: 32, Median: 7687, Most: 10003},
		{Operation: "get", Calls: 16, Median: 1086, Most: 1126},
		{Operation: "touch", Calls: 16, Median: 1143, Most: 1182},
		{Operation: "delete", Calls: 16, Median: 1727, Most: 1775},
		{Operation: "sweep of 16", Calls: 1, Median: 11226, Most: 11226},
	}
	for _, c := range []plugin.Config{{}, {Trusted: true}, {Shards: 2, Fuel: 1 << 40}} {
		report := plugintest.Check(t.Context(), wasm, plugintest.Options{Options: o, Config: c})
		require.Equal(t, want, report.Fuel)
		var text strings.Builder
		require.NoError(t, report.WriteText(&text))
		require.Contains(t, text.String(), "fuel  sweep of 16  ")
	}
	o.Skip, o.Only = nil, []string{"get/again"}
	require.Empty(t, plugintest.Check(t.Context(), wasm, plugintest.Options{Options: o}).Fuel, "somebody looks at one check")
}

// TestFuelOfWhatIsThere: operations that a guest lacks or refuses have no figure.
func TestFuelOfWhatIsThere(t *testing.T) {
	t.Parallel()
	o := plugintest.Options{Options: storetest.Options{Dir: t.TempDir(), Skip: skipAll()}}
	report := plugintest.Check(t.Context(), fixture(t, "hostile"), o)
	var names []string
	for _, f := range report.Fuel {
		names = append(names, f.Operation)
		require.Positive(t, f.Median)
		require.GreaterOrEqual(t, f.Most, f.Median)
	}
	require.Contains(t, names, "open")
	require.NotContains(t, names, "touch")
	require.Empty(t, plugintest.Check(t.Context(), fixture(t, "start"), o).Fuel)
}

// skipAll returns patterns that leave out every check.
func skipAll() (groups []string) {
	for _, c := range plugintest.Tests() {
		group, _, _ := strings.Cut(c.Name, "/")
		groups = append(groups, group)
	}
	return groups
}
