package plugin_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// failure makes the guest fail in a get and returns the error.
func failure(t *testing.T, p *plugin.Plugin, now store.Millis) *plugin.Error {
	t.Helper()
	_, err := p.Get(ctx, key, now)
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.NotContains(t, e.Error(), "\n")
	return e
}

func TestTraceOfAGuestBuiltWithGo(t *testing.T) {
	const panics, traps = 1, 2 // what testdata/goguest does at these times
	t.Run("with names", func(t *testing.T) {
		wasm := buildGuest(t, "testdata/goguest")
		config := quiet()
		config.Shards = 1
		e := failure(t, open(t, wasm, config), panics)
		require.ErrorIs(t, e, plugin.ErrTrap)
		require.Contains(t, e.Trace, "\nmain.explode(")
		require.Contains(t, e.Trace, "\nmain.get(")
		require.Contains(t, e.Output, "panic: runtime error: index out of range [1] with length 0")
		require.Regexp(t, `main\.explode\(.*\)\n\t.*goguest/main\.go:40 `, e.Output, "files and lines are in what Go writes")
		require.Contains(t, e.Details(), "\ncall stack:\n\t")
		require.Contains(t, e.Details(), "\noutput:\n\tpanic: runtime error")

		e = failure(t, open(t, wasm, config), traps)
		require.ErrorIs(t, e, plugin.ErrTrap)
		require.Contains(t, e.Message, "out of bounds memory access")
		require.True(t, strings.HasPrefix(e.Trace, "main.reach(i32) i32\nmain.get(i32) i32\nsession_get("), e.Trace)
		require.Empty(t, e.Output)
	})
	t.Run("stripped", func(t *testing.T) {
		config := quiet()
		config.Shards = 1
		e := failure(t, open(t, buildGuest(t, "testdata/goguest", "-ldflags=-s -w"), config), panics)
		require.NotContains(t, e.Trace, "explode")
		require.Regexp(t, `^\$\d+\(i32\) i32\n`, e.Trace)
		require.Contains(t, e.Output, "goguest/main.go:40", "Go knows its lines without the sections")
	})
}

// The function that the host adds to call the exports is not in a trace, whatever runs
// the guest.
func TestTraceEndsWithTheExport(t *testing.T) {
	config := quiet()
	config.Shards = 1
	p, err := plugin.OpenInterpreted(ctx, guest(t, "named"), config)
	require.NoError(t, err)
	defer p.Close(ctx)
	require.Equal(t, "sample.inner(i64) i64\nsample.outer(i64) i64\nsample.get(i32,i32,i64) i64", failure(t, p, 1).Trace)

	// An export that traps by itself is a line of its own, without a name here.
	for _, open := range []func(context.Context, []byte, plugin.Config) (*plugin.Plugin, error){plugin.Open, plugin.OpenInterpreted} {
		m := specGuest(t)
		m.export(abi.ExportGet).body = []byte{byte(wasmbin.OpUnreachable)}
		p, err := open(ctx, m.bytes(), specConfigOf(nil))
		require.NoError(t, err)
		defer p.Close(ctx)
		require.Regexp(t, `^\$\d+\(i32,i32,i64\) i64$`, failure(t, p, 1).Trace)
	}
}

func TestTraceHasNames(t *testing.T) {
	config := quiet()
	config.Shards = 1
	e := failure(t, open(t, guest(t, "named"), config), 1)
	require.Equal(t, "sample.inner(i64) i64\nsample.outer(i64) i64\nsample.get(i32,i32,i64) i64", e.Trace)
	require.Equal(t, "it is named so\n", e.Output)
	require.Equal(t, `plugin guest: get in shard 0: the guest trapped: unreachable
call stack:
	sample.inner(i64) i64
	sample.outer(i64) i64
	sample.get(i32,i32,i64) i64
output:
	it is named so
`, e.Details())
}

func TestTraceHasLines(t *testing.T) {
	wasm, err := os.ReadFile("testdata/debug/debug.wasm")
	require.NoError(t, err)
	const (
		names = "debug.wasm.fail(i64)\ndebug.wasm.session_get(i32,i32,i64) i64"
		lines = "debug.wasm.fail(i64)\n\t0x34: debug.c:19:3\ndebug.wasm.session_get(i32,i32,i64) i64\n\t0x20: debug.c:30:10"
	)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	for _, c := range []struct {
		name     string
		debug    bool
		deadline time.Duration
		trace    string
		source   string
	}{
		{"without", false, 0, names, "compiled"},
		{"with", true, 0, lines, "compiled"},
		{"with, from the directory", true, 0, lines, "directory"},
		{"without, untrusted", false, time.Minute, names, "compiled"},
		{"without, from the directory", false, 0, names, "directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := cached(dir)
			config.Shards, config.DebugInfo, config.Trusted, config.Deadline = 1, c.debug, c.deadline == 0, c.deadline
			p := open(t, wasm, config)
			require.Equal(t, c.source, p.Stats().CodeSource)
			require.Equal(t, c.trace, failure(t, p, 1).Trace)
			require.NoError(t, p.Close(ctx))
		})
	}
}

// Malformed debug information harms nobody.
func TestDebugInfoThatLies(t *testing.T) {
	wasm, err := os.ReadFile("testdata/debug/debug.wasm")
	require.NoError(t, err)
	m, err := plugin.Validate(wasm)
	require.NoError(t, err)
	config := quiet()
	config.Shards, config.DebugInfo = 1, true
	sections := 0
	for _, s := range m.Sections {
		if !strings.HasPrefix(s.Name, ".debug_") {
			continue
		}
		sections++
		content := s.Offset + 1 + len(s.Name)
		for _, fill := range []byte{0x00, 0x01, 0x7f, 0xff} {
			for _, from := range []int{content, content + 4, content + 11, content + (s.Offset+s.Size-content)/2} {
				broken := append([]byte(nil), wasm...)
				for i := from; i < s.Offset+s.Size; i++ {
					broken[i] = fill
				}
				e := failure(t, open(t, broken, config), 1)
				require.ErrorIs(t, e, plugin.ErrTrap)
				require.True(t, strings.HasPrefix(e.Trace, "debug.wasm.fail(i64)\n") || e.Trace == "",
					"%s from %d filled with %d: %q", s.Name, from, fill, e.Trace)
			}
		}
	}
	require.GreaterOrEqual(t, sections, 4)
}

func TestDebugInfoThatIsOfNoUse(t *testing.T) {
	var log logBuffer
	config := quiet()
	config.Shards, config.DebugInfo, config.Logger = 1, true, log.logger()
	failure(t, open(t, guest(t, "named"), config), 1)
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "there are none: build the guest with debug information (-g)")

	config.Trusted = false
	_, err := plugin.Open(ctx, guest(t, "named"), config)
	require.ErrorIs(t, err, plugin.ErrConfig)
	require.ErrorContains(t, err, "DebugInfo is set for a guest that is not trusted")
}

func TestTraceOfWhatAFunctionOfTheHostFinds(t *testing.T) {
	p, _ := hostile(t, 0)
	e := failure(t, p, actLogBeyond)
	require.ErrorIs(t, e, plugin.ErrMemory)
	require.True(t, strings.HasPrefix(e.Trace, "waddle_v1.log("), e.Trace)
	p, _ = hostile(t, shortDeadline)
	e = failure(t, p, actRandomStraight)
	require.ErrorIs(t, e, plugin.ErrDeadline)
	require.True(t, strings.HasPrefix(e.Trace, "wasi_snapshot_preview1.random_get("), e.Trace)
}

func TestFailureToOpenHasTraceAndOutput(t *testing.T) {
	_, err := plugin.Open(ctx, guest(t, "init_output"), quiet())
	require.ErrorIs(t, err, plugin.ErrOpen)
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "no\ufffd disk here\nq\n", e.Output)
	require.NotEmpty(t, e.Trace)
}

func TestFailureIsLogged(t *testing.T) {
	config := quiet()
	config.Shards = 1
	t.Run("as text", func(t *testing.T) {
		var log logBuffer
		config.Logger = log.logger()
		failure(t, open(t, guest(t, "named"), config), 1)
		text := log.String()
		require.Regexp(t, `level=ERROR msg="the guest failed" .*trace="sample\.inner\(i64\) i64\\nsample\.outer.*output="it is named so\\n"`, text)
		var trace []string
		for line := range strings.Lines(text) {
			if _, rest, ok := strings.Cut(line, `level=DEBUG msg="`); ok {
				trace = append(trace, rest)
			}
		}
		require.Equal(t, []string{
			`sample.inner(i64) i64" plugin=guest shard=0 source=trace` + "\n",
			`sample.outer(i64) i64" plugin=guest shard=0 source=trace` + "\n",
			`sample.get(i32,i32,i64) i64" plugin=guest shard=0 source=trace` + "\n",
		}, trace)
	})
	t.Run("as JSON, for errors only", func(t *testing.T) {
		var log logBuffer
		config.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
		failure(t, open(t, guest(t, "named"), config), 1)
		var record struct {
			Trace, Output []string
			Error         string
		}
		require.NoError(t, json.Unmarshal([]byte(log.String()), &record), "one record: %s", log.String())
		require.Equal(t, []string{"sample.inner(i64) i64", "sample.outer(i64) i64", "sample.get(i32,i32,i64) i64"}, record.Trace)
		require.Equal(t, []string{"it is named so"}, record.Output)
		require.Equal(t, "the guest trapped: unreachable", record.Error)
	})
}
