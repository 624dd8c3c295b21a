package plugin_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// A guest built by Go has megabytes of code, thousands of functions, an initialiser
// and WASI. This one is the in-memory engine, built from its sources.
func TestGuestBuiltWithGo(t *testing.T) {
	wasm := buildGuest(t, "../../guest/engines/memory", "-ldflags=-s -w")

	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	for name, deadline := range map[string]time.Duration{"trusted": 0, "with a deadline": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			config := cached(dir)
			config.Trusted, config.Deadline = deadline == 0, deadline
			p := open(t, wasm, config)
			for i := range 200 {
				require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, "key", i), Value: value(uint64(i+1), "v"), Expires: 1 << 50, Now: 1}))
			}
			require.NoError(t, p.Recycle(ctx))
			seen := 0
			for _, err := range p.Keys(ctx, 1) {
				require.NoError(t, err)
				seen++
			}
			require.GreaterOrEqual(t, seen, 200)
			for i := range 200 {
				k := fmt.Append(nil, "key", i)
				got, err := p.Get(ctx, k, 1)
				require.NoError(t, err)
				require.Equal(t, value(uint64(i+1), "v"), got)
				require.True(t, p.Set(ctx, store.Write{Key: k, Now: 1, Expect: store.Absent}) == store.ErrConflict)
			}
			require.NoError(t, p.Save(ctx, 1))
			require.Equal(t, uint64(2), p.Stats().Restarts, "those of the recycling")
		})
	}
	_, err := plugin.Open(ctx, wasm, plugin.Config{NoCache: true, GuestConfig: map[string]string{"no_such_setting": "1"}, Logger: quiet().Logger})
	require.ErrorIs(t, err, plugin.ErrOpen)
	require.ErrorContains(t, err, "no_such_setting")
}

// buildGuest builds a guest from the package in a directory, like an author.
func buildGuest(t *testing.T, dir string, flags ...string) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a guest")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to build the guest with")
	}
	file := filepath.Join(t.TempDir(), "guest.wasm")
	args := append([]string{"build", "-buildmode=c-shared", "-trimpath", "-o", file}, flags...)
	build := exec.Command(tool, append(args, ".")...)
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	wasm, err := os.ReadFile(file)
	require.NoError(t, err)
	return wasm
}
