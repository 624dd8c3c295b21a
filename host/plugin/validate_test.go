package plugin_test

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// reason is an expected refusal: its kind, and words of its text.
type reason struct {
	kind error
	says string
}

func requireReasons(t *testing.T, want []reason, got []*plugin.LoadError) {
	t.Helper()
	var texts []string
	for _, e := range got {
		texts = append(texts, e.Error())
	}
	require.Len(t, got, len(want), strings.Join(texts, "\n"))
	for i, w := range want {
		require.ErrorIs(t, got[i], w.kind)
		require.ErrorContains(t, got[i], w.says)
		require.ErrorContains(t, got[i], w.kind.Error())
		require.NotContains(t, got[i].Error(), "\n")
	}
}

func TestValidateAllFindsEverything(t *testing.T) {
	m, why := plugin.ValidateAll(guest(t, "faults"))
	requireReasons(t, []reason{
		{plugin.ErrFeature, "the value type 0x6f (reference types are not available to a guest) (section type)"},
		{plugin.ErrFeature, `the import of a table, "env"."table"`},
		{plugin.ErrFeature, "the instruction 0xd0 (reference types are not available to a guest) (function 3) (section code)"},
		{plugin.ErrExport, `"session_abi_v1" is a function (i32) -> (): must be a function () -> ()`},
		{plugin.ErrFeature, "a start section"},
		{plugin.ErrLimits, "40000 pages"},
		{plugin.ErrExport, `"session_alloc" is not exported: must be a function (i32) -> i32`},
		{plugin.ErrExport, `"session_open" is not exported`},
		{plugin.ErrExport, `"session_get" is a function (i32, externref) -> i64`},
		{plugin.ErrExport, `"session_clear" is a global: must be a function (i64) -> i64`},
		{plugin.ErrImport, `"env"."abort": the module must be waddle_v1 or wasi_snapshot_preview1`},
		{plugin.ErrImport, `"waddle_v1"."log" is imported as a function (i32) -> (): must be a function (i32, i32, i32) -> ()`},
		{plugin.ErrImport, `"wasi_snapshot_preview1"."sock_open": the function must be one of args_get`},
	}, why)
	require.False(t, m.Incomplete)
	require.Equal(t, 6, m.Functions)
	require.Len(t, m.Imports, 4)
	require.Equal(t, int64(40000), m.Memory.Min)
	require.True(t, m.Start)
}

func TestValidateAllOfWhatEndsEarly(t *testing.T) {
	whole := guest(t, "export_missing")
	code := bytes.LastIndex(whole, []byte{0x0b})
	for _, c := range []struct {
		name string
		wasm []byte
		want []reason
	}{
		{"empty", nil, []reason{{plugin.ErrNotPlugin, `begins with ""`}}},
		{"text", []byte("(module)"), []reason{{plugin.ErrNotPlugin, `begins with "(module)"`}}},
		{"bare", whole[:8], []reason{
			{plugin.ErrNotPlugin, "session_abi_v1"}, {plugin.ErrExport, `"memory" is not exported`},
			{plugin.ErrExport, "session_alloc"}, {plugin.ErrExport, "session_open"}, {plugin.ErrExport, "session_get"},
			{plugin.ErrExport, "session_set"}, {plugin.ErrExport, "session_delete"}, {plugin.ErrExport, "session_clear"},
			{plugin.ErrExport, "session_save"}}},
		// Exports that were not read are not called missing.
		{"cut within the types", whole[:12], []reason{{plugin.ErrModule, "at byte 10: an item of"}}},
		// Everything before the end is judged.
		{"cut within the code", whole[:code-1], []reason{
			{plugin.ErrModule, "(section code)"}, {plugin.ErrExport, `"session_save" is not exported`}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, why := plugin.ValidateAll(c.wasm)
			requireReasons(t, c.want, why)
			require.NotNil(t, m)
			require.Equal(t, len(c.wasm), m.Size)
			require.Equal(t, c.name != "bare", m.Incomplete)
		})
	}
	m, _ := plugin.ValidateAll(whole[:code-1])
	require.Equal(t, int64(1), m.Memory.Min, "the outline so far")
	require.NotEmpty(t, m.Exports)
}

// For any module, Validate returns the first reason of ValidateAll, and both accept a module
// without reasons.
func TestValidateIsTheFirstOfValidateAll(t *testing.T) {
	all, err := filepath.Glob("testdata/*.wasm")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, name := range all {
		whole, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, wasm := range [][]byte{whole, whole[:len(whole)/2], whole[:len(whole)/4], whole[:len(whole)-1], whole[1:]} {
			outline, why := plugin.ValidateAll(wasm)
			m, err := plugin.Validate(wasm)
			if len(why) == 0 {
				require.NoError(t, err, name)
				require.Equal(t, outline, m, name)
				continue
			}
			require.Nil(t, m, name)
			require.EqualError(t, err, why[0].Error(), name)
		}
	}
}

// A module may have as many faults as bytes; the list stays short.
func TestValidateAllIsBounded(t *testing.T) {
	const functions = 5000
	var types, bodies bytes.Buffer
	for i := range functions {
		types.WriteByte(0)
		// Each function breaks a limit by another number, so that no two reasons are alike.
		locals := uleb(1<<14 + 1 + i)
		bodies.Write(uleb(len(locals) + 3))
		bodies.WriteByte(1)
		bodies.Write(locals)
		bodies.WriteString("\x7f\x0b")
	}
	count := string(uleb(functions))
	wasm := module(
		section(1, "\x01\x60\x00\x00"),
		section(3, count+types.String()),
		section(10, count+bodies.String()))
	m, why := plugin.ValidateAll(wasm)
	require.Equal(t, functions, m.Functions)
	require.Less(t, len(why), 120)
	require.ErrorContains(t, why[0], "16385 locals")
	require.ErrorContains(t, why[99], "16484 locals")
	require.ErrorIs(t, why[100], plugin.ErrNotPlugin, "the contract is held against it all the same")
}

func ExampleValidateAll() {
	wasm, err := os.ReadFile("testdata/faults.wasm")
	if err != nil {
		log.Fatal(err)
	}
	module, reasons := plugin.ValidateAll(wasm)
	fmt.Println(module.Functions, "functions,", len(reasons), "reasons, among them:")
	for _, r := range reasons[4:6] {
		fmt.Println(r)
	}
	// Output:
	// 6 functions, 13 reasons, among them:
	// plugin: feature that is not available to a guest: a start section, whose function would run outside the host's limits: export the initialisation as _initialize instead (AssemblyScript: asc --exportStart _initialize)
	// plugin: module exceeds a limit: the memory has 40000 pages of 65536 bytes from the start: must have at most 2147483648 bytes
}
