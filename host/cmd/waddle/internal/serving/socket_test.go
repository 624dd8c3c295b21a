package serving_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
)

func dials(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

func TestSocket(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	l, err := serving.ListenUnix(t.Context(), path, 0o620)
	require.NoError(t, err)
	require.True(t, dials(path))
	if runtime.GOOS != "windows" {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o620), info.Mode().Perm())
	}
	_, err = serving.ListenUnix(t.Context(), path, 0o600)
	require.ErrorIs(t, err, serving.ErrSocketInUse)
	require.True(t, dials(path), "it is still there")
	require.NoError(t, l.Close())
	_, err = os.Lstat(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is left behind")
}

// TestStaleSocket: what a program that was killed left behind is replaced; a file is not.
func TestStaleSocket(t *testing.T) {
	dir := socketDir(t)
	path := filepath.Join(dir, "s")
	dead, err := net.Listen("unix", path)
	require.NoError(t, err)
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())
	l, err := serving.ListenUnix(t.Context(), path, 0o600)
	require.NoError(t, err)
	require.True(t, dials(path))

	// A socket that another program has put there since stays when this one ends.
	require.NoError(t, os.Remove(path))
	other, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, l.Close())
	require.True(t, dials(path))

	file := filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	_, err = serving.ListenUnix(t.Context(), file, 0o600)
	require.ErrorContains(t, err, "is not a socket")
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "precious", string(kept))
	for _, bad := range []string{"", strings.Repeat("x", 200), filepath.Join(dir, "none", "s")} {
		_, err = serving.ListenUnix(t.Context(), bad, 0o600)
		require.Error(t, err, bad)
	}
}

// TestSocketRace: of many that want one path, over a socket that is left from before,
// exactly one gets it, and it is reachable.
func TestSocketRace(t *testing.T) {
	for range 20 {
		path := filepath.Join(socketDir(t), "s")
		dead, err := net.Listen("unix", path)
		require.NoError(t, err)
		dead.(*net.UnixListener).SetUnlinkOnClose(false)
		require.NoError(t, dead.Close())
		var won atomic.Pointer[net.Listener]
		var winners atomic.Int32
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				l, err := serving.ListenUnix(t.Context(), path, 0o600)
				if err == nil {
					winners.Add(1)
					won.Store(&l)
				} else if !errors.Is(err, serving.ErrSocketInUse) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		require.EqualValues(t, 1, winners.Load())
		require.True(t, dials(path))
		require.NoError(t, (*won.Load()).Close())
	}
}
