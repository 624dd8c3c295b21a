package plugin_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// fileGuest keeps a file for each shard and knows nothing of other numbers of
// shards.
func fileGuest(t testing.TB) []byte {
	t.Helper()
	wasm, err := os.ReadFile("../storetest/plugintest/testdata/mutants/wasm/file_base.wasm")
	require.NoError(t, err)
	return wasm
}

func overDir(dir string, shards int) plugin.Config {
	config := quiet()
	config.Shards, config.MemoryLimit = shards, 256<<20
	config.Mounts = []plugin.Mount{{Dir: dir}}
	return config
}

func fillShards(t *testing.T, p *plugin.Plugin, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Appendf(nil, "key %d", i), Value: []byte("12345678"), Now: 1}))
	}
}

func heldShards(p *plugin.Plugin, n int) (held int) {
	for i := range n {
		if _, err := p.Get(ctx, fmt.Appendf(nil, "key %d", i), 1); err == nil {
			held++
		}
	}
	return held
}

// TestOtherNumberOfShards: records written with one number are not looked up with
// another, by which none would be found.
func TestOtherNumberOfShards(t *testing.T) {
	wasm, dir := fileGuest(t), t.TempDir()
	p := open(t, wasm, overDir(dir, 2))
	fillShards(t, p, 100)
	require.NoError(t, p.Close(ctx))

	for _, shards := range []int{1, 4} {
		_, err := plugin.Open(ctx, wasm, overDir(dir, shards))
		require.ErrorIs(t, err, plugin.ErrShards)
		var other *plugin.ShardsError
		require.ErrorAs(t, err, &other)
		require.Equal(t, plugin.ShardsError{Dir: dir, Written: 2, Asked: shards}, *other)
		for _, says := range []string{dir, "written with 2 shards", fmt.Sprintf("Shards is %d", shards), "set Shards to 2"} {
			require.ErrorContains(t, err, says)
		}
		config := overDir(dir, other.Written)
		p = open(t, wasm, config)
		require.Equal(t, 100, heldShards(p, 100), "the refusal changed nothing")
		require.NoError(t, p.Close(ctx))
	}

	// A config without a number gets the directory's.
	p = open(t, wasm, overDir(dir, 0))
	require.Equal(t, 2, p.Info().Shards)
	require.Equal(t, 100, heldShards(p, 100))
	require.NoError(t, p.Close(ctx))

	// It moves with the directory.
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	_, err := plugin.Open(ctx, wasm, overDir(copied, 4))
	require.ErrorIs(t, err, plugin.ErrShards)
	config := overDir(copied, 4)
	config.Mounts[0].ReadOnly = true
	_, err = plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrShards, "nor is anything found by reading alone")
	config.Shards = 0
	require.Equal(t, 2, open(t, specGuest(t).bytes(), config).Info().Shards)
}

// TestShardsOfAnEmptyDirectory: an empty directory has nothing to lose, whatever its
// number was before.
func TestShardsOfAnEmptyDirectory(t *testing.T) {
	wasm, dir := fileGuest(t), t.TempDir()
	for _, shards := range []int{4, 2, 1} {
		p := open(t, wasm, overDir(dir, shards))
		require.NoError(t, p.Close(ctx))
	}
	p := open(t, wasm, overDir(dir, 2))
	fillShards(t, p, 10)
	require.NoError(t, p.Close(ctx))
	_, err := plugin.Open(ctx, wasm, overDir(dir, 4))
	require.ErrorIs(t, err, plugin.ErrShards)
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".waddle") {
			err = os.Remove(filepath.Join(dir, path))
		}
		return err
	}))
	open(t, wasm, overDir(dir, 4))
}

// TestDefaultShardsOfFiles: the number does not depend on the machine, since files
// written on one are read on another.
func TestDefaultShardsOfFiles(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	wasm := fileGuest(t)
	for _, processors := range []int{1, 2, 7, 32} {
		runtime.GOMAXPROCS(processors)
		for _, memory := range []int64{0, 8 << 20} {
			config := overDir(t.TempDir(), 0)
			config.MemoryLimit = memory
			p := open(t, wasm, config)
			require.Equal(t, 4, p.Info().Shards, "%d processors", processors)
			require.NoError(t, p.Close(ctx))
		}
	}
	config := overDir(t.TempDir(), 0)
	config.MemoryLimit = 1 << 16
	_, err := plugin.Open(ctx, wasm, config)
	require.ErrorIs(t, err, plugin.ErrLimits, "fewer shards are not made of a small memory without being asked for")
}

// TestRecordOfShards: the file is the host's own, and is whole or does not exist. The
// host does not guess at its contents.
func TestRecordOfShards(t *testing.T) {
	wasm, dir := fileGuest(t), t.TempDir()
	p := open(t, wasm, overDir(dir, 2))
	fillShards(t, p, 10)
	require.NoError(t, p.Close(ctx))
	file := filepath.Join(dir, ".waddle.shards")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "shards 2\n", string(text))

	for _, damaged := range []string{"", "shards", "shards 3\n", "shards 0\n", "shards 2048\n", "shards -2\n", "2", "shards 2"} {
		require.NoError(t, os.WriteFile(file, []byte(damaged), 0o600))
		for _, shards := range []int{0, 2} {
			_, err := plugin.Open(ctx, wasm, overDir(dir, shards))
			require.ErrorIs(t, err, plugin.ErrDirectory, "%q", damaged)
			require.ErrorContains(t, err, ".waddle.shards")
			require.ErrorContains(t, err, "shards N")
		}
	}

	// If a directory never had such a file, or lost it, the config's number counts.
	require.NoError(t, os.Remove(file))
	p = open(t, wasm, overDir(dir, 2))
	require.Equal(t, 10, heldShards(p, 10))
	require.NoError(t, p.Close(ctx))
	_, err = plugin.Open(ctx, wasm, overDir(dir, 4))
	require.ErrorIs(t, err, plugin.ErrShards)

	missing := filepath.Join(dir, "missing")
	_, err = plugin.Open(ctx, wasm, overDir(missing, 0))
	require.ErrorIs(t, err, plugin.ErrDirectory)
	require.True(t, errors.Is(err, fs.ErrNotExist))
}
