package plugin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestShardsOnAFullDisk: a directory without a number, on a disk with no room for it,
// opens all the same, since ending sessions makes room. It gets the number later.
func TestShardsOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: making a small disk needs root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: a disk cannot be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	wasm := fileGuest(t)
	p := open(t, wasm, overDir(dir, 2))
	fillShards(t, p, 100)
	require.NoError(t, p.Close(ctx))
	require.NoError(t, os.Remove(filepath.Join(dir, ".waddle.shards")))
	ballast := filepath.Join(dir, "ballast")
	require.Error(t, os.WriteFile(ballast, make([]byte, 512<<10), 0o600))

	var log logBuffer
	config := overDir(dir, 2)
	config.Logger = log.logger()
	p = open(t, wasm, config)
	require.Equal(t, 100, heldShards(p, 100))
	require.ErrorIs(t, p.Close(ctx), store.ErrNoSpace, "which is what the guest says of its own files")
	require.Contains(t, log.String(), "the disk is full: the directory does not note its number of shards")
	left, err := filepath.Glob(filepath.Join(dir, ".waddle.shards*"))
	require.NoError(t, err)
	require.Empty(t, left, "no part of a file is left behind")

	require.NoError(t, os.Remove(ballast))
	require.NoError(t, open(t, wasm, config).Close(ctx))
	_, err = plugin.Open(ctx, wasm, overDir(dir, 4))
	require.ErrorIs(t, err, plugin.ErrShards)
}
