//go:build unix

package tenant

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file that others may read, or write to, or own, gives no secrets.
func TestKeyringFilesOfOthers(t *testing.T) {
	dir, wasm := place(t)
	file := filepath.Join(dir, "keys", "alice.key")
	get := FileKeyring(dir)
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604, 0o620, 0o602, 0o660, 0o610, 0o777} {
		require.NoError(t, os.Chmod(file, mode))
		_, err := get(t.Context(), "alice", "keys/alice.key")
		require.ErrorIs(t, err, ErrKeyring)
		require.ErrorContains(t, err, "nobody but its owner may read it", "%v", mode)
		require.NotContains(t, err.Error(), secret)
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o700} {
		require.NoError(t, os.Chmod(file, mode))
		_, err := get(t.Context(), "alice", "keys/alice.key")
		require.NoError(t, err, "%v", mode)
	}
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(file, 12345, -1))
		_, err := get(t.Context(), "alice", "keys/alice.key")
		require.ErrorContains(t, err, "belongs to user 12345")
	}

	// A pipe without a writer holds nobody up, as a keyring or as a plugin.
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	_, err := get(t.Context(), "alice", "pipe")
	require.ErrorContains(t, err, "is a pipe: must be a regular file")
	m := fromFile(wasm)
	m.Plugin.File = "pipe"
	require.Contains(t, fault(t, grounds{dir: dir}, m).Problem, "is a pipe: must be a regular file")
}
