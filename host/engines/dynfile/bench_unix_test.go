//go:build unix

package dynfile_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// BenchmarkOpen opens a million sessions in four shards, with hints and without.
// Processor time says more than the clock where other programs use the disk.
func BenchmarkOpen(b *testing.B) {
	const sessions = 1_000_000
	dir, code := b.TempDir(), b.TempDir()
	open := func() *plugin.Plugin {
		p, err := dynfile.Open(b.Context(), dir, plugin.Config{CacheDir: code, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		require.NoError(b, err)
		return p
	}
	p := open()
	for n := range uint64(sessions) {
		require.NoError(b, p.Set(b.Context(), store.Write{Key: benchKey(n), Value: make([]byte, 300), Now: 1}))
	}
	for range 400 {
		_, err := p.Sweep(b.Context(), 1000, 1)
		require.NoError(b, err)
	}
	require.NoError(b, p.Close(b.Context()))
	run := func(b *testing.B) {
		processor := time.Duration(0)
		for range b.N {
			before := processorTime(b)
			p := open()
			b.StopTimer()
			processor += processorTime(b) - before
			for n := range uint64(4) { // each shard is open
				_, err := p.Get(b.Context(), benchKey(n), 1)
				require.NoError(b, err)
			}
			require.NoError(b, p.Close(b.Context()))
			b.StartTimer()
		}
		b.ReportMetric(float64(processor.Milliseconds())/float64(b.N), "cpu-ms/op")
	}
	b.Run("hints", run)
	hints, err := filepath.Glob(filepath.Join(dir, "*", "*.hint"))
	require.NoError(b, err)
	require.NotEmpty(b, hints)
	for _, name := range hints {
		require.NoError(b, os.Remove(name))
	}
	b.Run("no hints", run)
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
