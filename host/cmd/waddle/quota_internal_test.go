package main

import (
	"context"
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// A plugin from a file gets SESSION_DIR with the quota of the flags.
func TestRunGivesAQuota(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		args []string
		most uint32
	}{
		{nil, 3000}, // as much as it asks for
		{[]string{"--mount-bytes", "1KiB"}, 1024},
		{[]string{"--mount-bytes", "1GiB", "--mount-files", "7"}, 7},
	} {
		var flags runFlags
		cmd := &cobra.Command{}
		addQuota(cmd, &flags.quota)
		require.NoError(t, cmd.ParseFlags(c.args))
		settings := engines.Settings{Storage: filepath.Join("..", "..", "plugin", "testdata", "digs.wasm"), Dir: t.TempDir()}
		settings.MaxBytes, settings.MaxFiles = int64(flags.quota.bytes), flags.quota.files
		settings.Config.Logger = slog.New(slog.DiscardHandler)
		s, _, err := openStorage(ctx, settings)
		require.NoError(t, err)
		defer store.Close(ctx, s)
		made := uint32(0)
		// Its calls have a deadline, which a slow machine must not reach.
		for range 5 {
			value, err := s.Get(ctx, binary.LittleEndian.AppendUint32(nil, 600+made), 1)
			require.NoError(t, err)
			if n := binary.LittleEndian.Uint32(value[12:]); n > made {
				made = n
			} else {
				break
			}
		}
		require.Equal(t, c.most, made, c.args)
	}
}

// A plugin from a file is metered, unless the flag says that it is trusted.
func TestRunTrustsNoFile(t *testing.T) {
	settings := engines.Settings{Storage: filepath.Join("..", "..", "plugin", "testdata", "hostile.wasm")}
	settings.Config.Logger = slog.New(slog.DiscardHandler)
	s, _, err := openStorage(t.Context(), settings)
	require.NoError(t, err)
	defer store.Close(t.Context(), s)
	const loops = 2 // this guest's behaviour depends on the time
	_, err = s.Get(t.Context(), []byte("key"), loops)
	require.ErrorIs(t, err, store.ErrUnavailable)
	var failed *plugin.Error
	require.ErrorAs(t, err, &failed)
	require.Contains(t, []error{plugin.ErrDeadline, plugin.ErrFuel}, failed.Kind, "whichever comes first on this machine")
}

func TestSizes(t *testing.T) {
	f := bytesFlag(plugin.DefaultMountBytes)
	require.Equal(t, "1GiB", f.String())
	for text, want := range map[string]int64{"1": 1, "4096": 4096, "3KiB": 3 << 10, "500MiB": 500 << 20, "2GiB": 2 << 30} {
		require.NoError(t, f.Set(text), text)
		require.EqualValues(t, want, f)
	}
	require.NoError(t, f.Set("2048KiB"))
	require.Equal(t, "2MiB", f.String())
	for _, text := range []string{"", "0", "-1", "KiB", "1.5MiB", "1MB", "1 MiB", "9223372036854775807KiB"} {
		require.Error(t, f.Set(text), text)
	}
}
