package engines_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

const startVariable = "WADDLE_TEST_START"

// started opens an engine, does one write, and says what that took.
func started(engine, dir string) error {
	config := plugin.Config{CacheDir: filepath.Join(dir, "cache"), Logger: silent}
	sessions := filepath.Join(dir, fmt.Sprint("sessions-", os.Getpid()))
	begin := time.Now()
	var p *plugin.Plugin
	var err error
	switch engine {
	case "memory":
		p, err = memory.Open(ctx, config)
	case "keyfolder":
		p, err = keyfolder.Open(ctx, sessions, config)
	case "dynfile":
		p, err = dynfile.Open(ctx, sessions, config)
	}
	if err != nil {
		return err
	}
	now := store.At(time.Now())
	if err := p.Set(ctx, store.Write{Key: make([]byte, 32), Value: make([]byte, 300), Now: now}); err != nil {
		return err
	}
	fmt.Println("started", p.Stats().CodeSource, time.Since(begin).Nanoseconds())
	return p.Close(ctx)
}

// start does that in a process of its own, and returns where the code came from, how long it took, and
// the processor time of the process.
func start(t testing.TB, engine, dir string) (source string, took, processor time.Duration) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(self, "-test.run=^$")
	command.Env = append(os.Environ(), startVariable+"="+engine, "WADDLE_TEST_DIR="+dir)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		if n, _ := fmt.Sscanf(line, "started %s %d", &source, &took); n == 2 {
			return source, took, command.ProcessState.UserTime() + command.ProcessState.SystemTime()
		}
	}
	t.Fatalf("it says nothing: %s", out)
	return "", 0, 0
}

// TestStartsOfProcesses: the second process that opens an engine takes a small part of the first one's
// time.
func TestStartsOfProcesses(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	for _, engine := range []string{"memory", "keyfolder", "dynfile"} {
		source, _, cold := start(t, engine, dir)
		require.Equal(t, "compiled", source)
		source, _, warm := start(t, engine, dir)
		require.Equal(t, "directory", source)
		require.Less(t, 5*warm, cold, "processor time")
	}
}

// BenchmarkStart measures from Open to the end of the first write, in a process of its own each time.
func BenchmarkStart(b *testing.B) {
	for _, engine := range []string{"memory", "keyfolder", "dynfile"} {
		for _, how := range []string{"cold", "warm"} {
			b.Run(engine+"/"+how, func(b *testing.B) {
				dir := b.TempDir()
				require.NoError(b, os.Chmod(dir, 0o700))
				if how == "warm" {
					start(b, engine, dir)
				}
				var all, processor time.Duration
				for b.Loop() {
					if how == "cold" {
						require.NoError(b, os.RemoveAll(filepath.Join(dir, "cache")))
					}
					_, took, used := start(b, engine, dir)
					all += took
					processor += used
				}
				b.ReportMetric(float64(all.Microseconds())/1000/float64(b.N), "ms/start")
				b.ReportMetric(float64(processor.Microseconds())/1000/float64(b.N), "cpu-ms/process")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
