package plugin_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// A plugin whose config gives no name has that of the file in the log until the guest
// has given its own.
func TestLogNamesThePlugin(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large"), make([]byte, 100), 0o600))
	var log bytes.Buffer
	clock := newClock()
	config := quiet()
	config.Logger, config.Now = slog.New(slog.NewTextHandler(&log, nil)), clock.Now
	config.Mounts = []plugin.Mount{{Dir: dir, MaxBytes: 10}}
	config.NoCache, config.CacheDir = false, filepath.Join(dir, "large")
	p, err := plugin.OpenFile(ctx, "testdata/store.wasm", config)
	require.NoError(t, err)
	for _, message := range []string{"more in it than its quota", "compiled code"} {
		require.Regexp(t, `msg="[^"]*`+message+`[^"]*" plugin=store\.wasm`, log.String())
	}
	require.NoError(t, p.Recycle(ctx))
	require.NoError(t, p.Close(ctx))

	log.Reset()
	config.Mounts = nil
	h := plugin.NewHost(plugin.HostConfig{})
	module, err := h.Compile(ctx, guest(t, "store"), config)
	require.NoError(t, err)
	require.NoError(t, module.Close())
	require.NoError(t, h.Close(ctx))
	require.NotContains(t, log.String(), `plugin=""`)
	require.Equal(t, 1, strings.Count(log.String(), "plugin=guest"), log.String())
}
