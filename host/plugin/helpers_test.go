package plugin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

var ctx = context.Background()

func guest(t testing.TB, name string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	require.NoError(t, err)
	return wasm
}

// quiet is a Config for tests: a trusted guest, nothing in the user's cache
// directory, no log.
func quiet() plugin.Config {
	return plugin.Config{Trusted: true, NoCache: true, Shards: 2, MemoryLimit: 64 << 20, SweepInterval: -1,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func open(t testing.TB, wasm []byte, config plugin.Config) *plugin.Plugin {
	t.Helper()
	p, err := plugin.Open(ctx, wasm, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	return p
}

// without takes exports away from a module by changing their names.
func without(t testing.TB, wasm []byte, exports ...string) []byte {
	t.Helper()
	for _, e := range exports {
		from := append([]byte{byte(len(e))}, e...)
		require.Equal(t, 1, bytes.Count(wasm, from), e)
		to := bytes.Clone(from)
		to[1] = 'x'
		wasm = bytes.Replace(wasm, from, to, 1)
	}
	return wasm
}

// clock is a clock set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_767_225_600_000)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestEveryFixtureHasItsSource(t *testing.T) {
	sources, err := filepath.Glob("testdata/*.wat")
	require.NoError(t, err)
	binaries, err := filepath.Glob("testdata/*.wasm")
	require.NoError(t, err)
	require.NotEmpty(t, sources)
	names := func(files []string, suffix string) (out []string) {
		for _, f := range files {
			out = append(out, strings.TrimSuffix(filepath.Base(f), suffix))
		}
		return out
	}
	require.Equal(t, names(sources, ".wat"), names(binaries, ".wasm"))

	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Log("wat2wasm is not installed: the binaries are not compared with their sources")
		return
	}
	for _, source := range sources {
		made := filepath.Join(t.TempDir(), "made.wasm")
		text, err := os.ReadFile(source)
		require.NoError(t, err)
		args := []string{source, "-o", made}
		// A first line ";; wat2wasm: …" has the options that the source needs.
		if flags, ok := strings.CutPrefix(strings.SplitN(string(text), "\n", 2)[0], ";; wat2wasm: "); ok {
			args = append(strings.Fields(flags), args...)
		}
		out, err := exec.Command(tool, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		want, err := os.ReadFile(made)
		require.NoError(t, err)
		got, err := os.ReadFile(strings.TrimSuffix(source, ".wat") + ".wasm")
		require.NoError(t, err)
		require.Equal(t, want, got, "%s is not what its source says", source)
	}
}

func durationOf(ns int64) time.Duration { return time.Duration(ns) }

func withTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// mappedMemory returns the address space of the process in bytes, 0 if that
// is not known.
func mappedMemory(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var pages int64
	_, err = fmt.Sscan(string(b), &pages)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}

// engines open a plugin with the compiler and with the interpreter.
var engines = map[string]func(context.Context, []byte, plugin.Config) (*plugin.Plugin, error){
	"compiled": plugin.Open, "interpreted": plugin.OpenInterpreted,
}
