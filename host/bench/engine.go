package main

import (
	"context"
	"io"
	"log/slog"
	"runtime"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Memory limits of the engine: for some sessions, and for a crowd without
// evicting any.
const (
	engineSmall = 64 << 20
	engineCrowd = 1 << 30
)

// openEngine runs the bundled memory engine as an application would, with the
// machine's default number of shards.
func openEngine(ctx context.Context, limit int64) (*plugin.Plugin, error) {
	return openEngineWith(ctx, plugin.Config{MemoryLimit: limit})
}

func openEngineWith(ctx context.Context, c plugin.Config) (*plugin.Plugin, error) {
	c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	return memory.Open(ctx, c)
}

// heapMeter returns a function that says how much the heap has grown since
// then.
func heapMeter() func() int64 {
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what finalizers and pools held on to
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	return func() int64 { return live() - before }
}
