//go:build linux || darwin

package plugin_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	faultDir   = "WADDLE_TEST_CACHE_FAULT"
	faultLimit = "WADDLE_TEST_FILE_SIZE"
	faultRound = "WADDLE_TEST_ROUND"
)

// another is the store's guest with a section that makes it another module.
func another(t testing.TB, round int) []byte {
	section := wasmbin.AppendBytes(nil, "round")
	return wasmbin.AppendSection(guest(t, "store"), wasmbin.SectionCustom, strconv.AppendInt(section, int64(round), 10))
}

// opened opens a guest, checks that it works and returns where its code came from.
func opened(t testing.TB, wasm []byte, config plugin.Config) string {
	p, err := plugin.Open(ctx, wasm, config)
	require.NoError(t, err)
	defer p.Close(ctx)
	require.NoError(t, p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: 1}))
	got, err := p.Get(ctx, key, 1)
	require.NoError(t, err)
	require.Equal(t, value(1, "v"), got)
	return p.Stats().CodeSource
}

// inProcess runs a test in a process of its own, with these variables.
func inProcess(name string, env ...string) *exec.Cmd {
	self, _ := os.Executable()
	command := exec.Command(self, "-test.run=^"+name+"$", "-test.v")
	command.Env = append(os.Environ(), env...)
	return command
}

// TestCacheOfAProcessThatWasKilled: wherever a process was killed while it compiled, the next one starts.
func TestCacheOfAProcessThatWasKilled(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		round, _ := strconv.Atoi(os.Getenv(faultRound))
		wasm := another(t, round)
		fmt.Println("begins")
		opened(t, wasm, cached(dir))
		fmt.Println("\nends")
		return
	}
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := filepath.Join(t.TempDir(), "cache")
	var took time.Duration // from begin to end, without a kill
	left := 0
	for round := range 25 {
		child := inProcess(t.Name(), faultDir+"="+dir, fmt.Sprint(faultRound, "=", round))
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		begun := time.Time{}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch strings.TrimSpace(lines.Text()) {
			case "begins":
				begun = time.Now()
				if took > 0 {
					time.Sleep(rand.N(took))
					require.NoError(t, child.Process.Kill())
				}
			case "ends":
				took = max(took, time.Since(begun))
			}
		}
		_ = child.Wait()
		require.NotZero(t, begun)
		found, err := filepath.Glob(filepath.Join(dir, "*", "*.tmp"))
		require.NoError(t, err)
		left = max(left, len(found))
		opened(t, another(t, round), cached(dir))
		require.Equal(t, "directory", opened(t, another(t, round), cached(dir)))
	}
	require.NotZero(t, left, "none was killed in the middle")
}

// TestCacheOnAFullDisk: what cannot be written is not kept, and the guest runs. The system refuses to let
// files grow beyond a size.
func TestCacheOnAFullDisk(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		size, err := strconv.ParseUint(os.Getenv(faultLimit), 10, 64)
		require.NoError(t, err)
		signal.Ignore(syscall.SIGXFSZ)
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: size}))
		var log logBuffer
		config := cached(dir)
		config.Logger = log.logger()
		fmt.Println("source", opened(t, guest(t, "store"), config))
		fmt.Println(log.String())
		return
	}
	compilerOnly(t, open(t, guest(t, "tiny"), quiet()).Stats().Runtime)
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := filepath.Join(t.TempDir(), "cache")
	require.Equal(t, "compiled", use(t, cached(dir)))
	sizes := []int64{16}
	for _, file := range files(t, dir) {
		info, err := os.Stat(file)
		require.NoError(t, err)
		sizes = append(sizes, info.Size()-1)
	}
	for _, size := range sizes {
		require.NoError(t, os.RemoveAll(dir))
		for range 2 {
			out, err := inProcess(t.Name(), faultDir+"="+dir, fmt.Sprint(faultLimit, "=", size)).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "source compiled", "with files of at most %d bytes", size)
			require.Regexp(t, "kept in memory only|cannot be kept", string(out))
		}
		left, err := filepath.Glob(filepath.Join(dir, "*", "*.tmp"))
		require.NoError(t, err)
		require.Empty(t, left)
		require.Equal(t, "compiled", use(t, cached(dir)))
		require.Equal(t, "directory", use(t, cached(dir)))
	}
}
