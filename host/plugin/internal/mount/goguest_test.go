package mount_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

// Package os of a Go guest finds a file system that behaves as it expects.
func TestGoGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: a guest would have to be compiled")
	}
	path := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-o", path, "./testdata/goguest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	wasm, err := os.ReadFile(path)
	require.NoError(t, err)

	m, _ := open(t, mount.Options{MaxBytes: 1000, MaxFiles: 10, MaxOpen: 8})
	// Compiling the guest would take longer than running it.
	r := newRuntimeWith(t, wazero.NewRuntimeConfigInterpreter(), nil)
	compiled, err := r.CompileModule(context.Background(), wasm)
	require.NoError(t, err)
	var stdout bytes.Buffer
	config := wazero.NewModuleConfig().WithFSConfig(wasi.Mount(wazero.NewFSConfig(), m, "/store")).
		WithStdout(&stdout).WithStderr(&stdout).WithSysWalltime().WithSysNanotime()
	_, err = r.InstantiateModule(context.Background(), compiled, config)
	require.NoError(t, err, stdout.String())
	require.Empty(t, stdout.String())
	require.Equal(t, mount.Usage{}, m.Usage())
}
