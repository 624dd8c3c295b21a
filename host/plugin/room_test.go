package plugin_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// The output of toolchains is far below the limits: a guest of each language, each
// bundled engine, and a Go program with a web server in it.
func TestGuestsHaveRoom(t *testing.T) {
	limits, strict := preflight.DefaultLimits(), plugin.StrictLimits()
	room := func(t *testing.T, wasm []byte, times int64, large bool) {
		m, err := preflight.Parse(wasm, limits)
		require.NoError(t, err)
		within := int64(len(wasm)) <= strict.Module && m.CompileCost <= strict.CompileCost && m.CompileMemory <= strict.CompileMemory
		require.Equal(t, !large, within, "within StrictLimits")
		t.Logf("%d KiB: %d million units of %d, %d MiB of %d", len(wasm)>>10, m.CompileCost/1e6, limits.CompileCost/1e6,
			m.CompileMemory>>20, limits.CompileMemory>>20)
		require.LessOrEqual(t, times*m.CompileCost, limits.CompileCost, "units to compile")
		require.LessOrEqual(t, times*m.CompileMemory, limits.CompileMemory, "bytes to compile")
	}
	tried := 0
	for _, pattern := range []string{"../engines/*/*.wasm.gz", "../../examples/guests/*/store.wasm", "../storetest/plugintest/testdata/mutants/wasm/*.wasm"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			tried++
			wasm, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, ".gz") {
				unpacked, err := gzip.NewReader(bytes.NewReader(wasm))
				require.NoError(t, err)
				wasm, err = io.ReadAll(unpacked)
				require.NoError(t, err)
			}
			times := int64(8)
			if name := filepath.Base(file); name == "redis.wasm.gz" || name == "postgres.wasm.gz" {
				times = 6 // they have package net in them
			}
			t.Run(file, func(t *testing.T) { room(t, wasm, times, false) })
		}
	}
	require.Greater(t, tried, 8)
	for name, imports := range map[string]string{
		"fmt and encoding/json": `"encoding/json"; "fmt"`,
		"net/http":              `"encoding/json"; "fmt"; "net/http"`,
	} {
		t.Run(name, func(t *testing.T) { room(t, largeGuest(t, imports), 3, strings.Contains(imports, "net/http")) })
	}
}

// largeGuest builds a Go program that uses the main functions of these packages.
func largeGuest(t *testing.T, imports string) []byte {
	dir := t.TempDir()
	source := "package main\n\nimport (" + imports + ")\n\nfunc main() {}\n\nvar kept []any\n\n" +
		"//go:wasmexport work\nfunc work(n int32) int32 {\n\tb, err := json.Marshal(map[string]any{\"n\": n, \"text\": fmt.Sprint(n)})\n" +
		"\tkept = append(kept, err, json.Unmarshal(b, &kept))\n"
	if strings.Contains(imports, "net/http") {
		source += "\tresponse, err := http.Get(fmt.Sprint(\"https://localhost/\", n))\n\tkept = append(kept, response, err, http.ListenAndServe(\":80\", nil))\n"
	}
	source += "\treturn int32(len(b))\n}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module guest\n\ngo 1.26\n"), 0o600))
	return buildGuest(t, dir, "-ldflags=-s -w")
}
