package plugin_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// FuzzOpen runs modules that are nearly guests. Any of them gives an error or a store,
// and neither a panic nor an endless call.
func FuzzOpen(f *testing.F) {
	all, err := filepath.Glob("testdata/*.wasm")
	require.NoError(f, err)
	for _, name := range all {
		f.Add(guest(f, filepath.Base(name[:len(name)-len(".wasm")])), int64(1))
	}
	f.Fuzz(func(t *testing.T, wasm []byte, ms int64) {
		now := store.Millis(ms)
		if len(wasm) > 64<<10 {
			return
		}
		config := quiet()
		config.Trusted, config.Shards, config.Deadline, config.OpenDeadline = false, 1, 5*time.Millisecond, 5*time.Millisecond
		p, err := plugin.Open(ctx, wasm, config)
		if err != nil {
			var refused *plugin.LoadError
			require.ErrorAs(t, err, &refused)
			return
		}
		_ = p.Set(ctx, store.Write{Key: key, Value: value(1, "v"), Now: now})
		_, _ = p.Get(ctx, key, now)
		_ = p.Touch(ctx, key, 0, now)
		_ = p.Save(ctx, now)
		for range p.Keys(ctx, now) {
			break
		}
		_ = p.Stats()
		_ = p.Close(ctx)
	})
}
