package untangle_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/waddle-sessions/waddle/host/engines/internal/untangle"
)

// build builds a package for WebAssembly, with names.
func build(t testing.TB, dir string, flags ...string) []byte {
	if testing.Short() {
		t.Skip("builds and compiles modules")
	}
	out := filepath.Join(t.TempDir(), "out.wasm")
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	message, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", message)
	wasm, err := os.ReadFile(out)
	require.NoError(t, err)
	return wasm
}

// ways are all the ways to untangle a module.
var ways = map[string]func(name string) bool{
	"no copies":             nil,
	"copies of everything":  func(string) bool { return true },
	"copies of every other": func(name string) bool { return len(name)%2 == 0 },
}

// The program switches goroutines, panics, recovers, grows its stack, collects garbage and
// asks where it is. It must not notice anything.
func TestProgramDoesTheSame(t *testing.T) {
	wasm := build(t, "testdata/program")
	want := run(t, wasm)
	require.Greater(t, strings.Count(want, "\n"), 14)
	for name, fast := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, r, err := untangle.Module(wasm, untangle.Options{Fast: fast})
			require.NoError(t, err)
			require.Equal(t, want, run(t, out))
			t.Logf("%+v, %d bytes of %d", *r, len(out), len(wasm))
			require.Equal(t, fast != nil, r.Copied > 0)
			require.Greater(t, (r.Structured+r.Threaded)*20, r.Functions*19, "Go writes another form than this package knows")
		})
	}
}

func run(t *testing.T, wasm []byte) string {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	var stdout, stderr bytes.Buffer
	_, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStdout(&stdout).WithStderr(&stderr).
		WithSysNanotime().WithSysWalltime().WithSysNanosleep())
	require.NoError(t, err, "%s", stderr.String())
	require.Equal(t, "done\n", stderr.String())
	return stdout.String()
}

// A module without names is refused, and not made slower or wrong.
func TestModuleNeedsNames(t *testing.T) {
	wasm := build(t, "testdata/program", "-ldflags=-s")
	_, _, err := untangle.Module(wasm, untangle.Options{})
	require.EqualError(t, err, `the module has no section "name": build it without -ldflags=-s`)
}
