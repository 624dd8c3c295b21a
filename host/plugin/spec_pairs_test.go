package plugin_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// The lists of names and values: a guest's description of itself, and its settings.

// describing makes a guest describe itself by pairs.
func describing(t testing.TB, pairs ...string) []byte {
	var list []byte
	for i := 0; i < len(pairs); i += 2 {
		list = abi.AppendPair(list, pairs[i], pairs[i+1])
	}
	m := specGuest(t)
	m.returns(abi.ExportDescribe, abi.Pack(uint32(m.text(list)), uint32(len(list))))
	return m.bytes()
}

func TestSpecDescribe(t *testing.T) {
	long := strings.Repeat("n", 100)
	text := specNumbers(t, `up to (\d+) bytes`, specRow(t, sectionOptional, "`name`")[1])[0]
	least := specNumbers(t, `must take keys up to (\d+) bytes and values up to (\d+) KiB`, specSection(t, sectionLimits))
	leastKey, leastValue := least[0], least[1]<<10
	require.Contains(t, specRow(t, sectionOptional, "`capabilities`")[1], "version 1 knows [`"+abi.CapabilityCAS+"`]")
	described := map[string]string{"name": long, "version": long, "capabilities": "cas other",
		"max_key": strconv.Itoa(leastKey), "max_value": strconv.Itoa(leastValue)}
	var pairs []string
	for _, row := range specRowsOf(t, sectionOptional, abi.ExportDescribe) {
		if name := strings.Trim(row[0], "`"); name != row[0] {
			require.Contains(t, described, name)
			pairs = append(pairs, name, described[name])
		}
	}
	require.Len(t, pairs, 2*len(described))
	info := open(t, describing(t, append(pairs, "colour", "blue")...), specConfigOf(nil)).Info()
	require.Equal(t, long[:text], info.Name)
	require.Equal(t, long[:text], info.Version)
	require.Equal(t, []string{"cas", "other"}, info.Capabilities)
	require.Equal(t, leastKey, info.MaxKey)
	require.Equal(t, leastValue, info.MaxValue)

	for name, n := range map[string]int{"max_key": leastKey, "max_value": leastValue} {
		refused(t, describing(t, name, strconv.Itoa(n-1)), plugin.ErrOpen, fmt.Sprintf("%s is %q: must be a number of at least %d", name, strconv.Itoa(n-1), n))
	}
}

func TestSpecConfig(t *testing.T) {
	m := specGuest(t)
	fail := m.imported(specImport(t, abi.ImportFail))
	m.returns(abi.ExportOpen, int64(abi.Invalid))
	m.export(abi.ExportOpen).body = append([]byte{opLocalGet, 0, opLocalGet, 1, opCall, byte(fail)}, m.export(abi.ExportOpen).body...)
	config := specConfigOf(nil)
	config.Shards, config.GuestConfig = 2, map[string]string{"a_setting": "ż", "z": "1"}
	config.MemoryLimit = 96 << 20
	_, err := plugin.Open(ctx, m.bytes(), config)
	var refused *plugin.LoadError
	require.ErrorAs(t, err, &refused)
	_, list, _ := strings.Cut(refused.Detail, "INVALID: ")
	cells := strings.Split(strings.TrimSuffix(list, "\ufffd"), "\ufffd") // NUL, cleaned
	got := map[string]string{}
	for i := 0; i+1 < len(cells); i += 2 {
		got[cells[i]] = cells[i+1]
		require.True(t, i == 0 || cells[i-2] < cells[i], "names come in ascending order")
	}
	want := map[string]string{"a_setting": "ż", "z": "1"}
	values := map[string]string{"shard": "0", "shards": "2", "memory_limit": strconv.Itoa(48 << 20)}
	for _, row := range specRows(t, sectionConfig) {
		name := strings.Trim(row[0], "`")
		require.Contains(t, values, name)
		want[name] = values[name]

		config.GuestConfig = map[string]string{name: "1"}
		_, err := plugin.Open(ctx, m.bytes(), config)
		require.ErrorIs(t, err, plugin.ErrConfig, "%s is the host's own", name)
	}
	require.Equal(t, want, got)
	for _, name := range []string{"", "A", "a-b", "ż", abi.ConfigHostPrefix + "x"} {
		config.GuestConfig = map[string]string{name: "1"}
		_, err := plugin.Open(ctx, m.bytes(), config)
		require.ErrorIs(t, err, plugin.ErrConfig, "%q", name)
	}
}
