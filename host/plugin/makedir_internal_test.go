package plugin

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMakeDir(t *testing.T) {
	var synced []string
	fails := error(nil)
	before := syncParent
	syncParent = func(dir string) error {
		synced = append(synced, dir)
		if fails != nil {
			return fails
		}
		return before(dir)
	}
	t.Cleanup(func() { syncParent = before })
	made := func(dir string) (of []string, err error) {
		synced = nil
		err = MakeDir(dir)
		return synced, err
	}

	base := t.TempDir()
	deep := filepath.Join(base, "a", "b", "c")
	of, err := made(deep)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(base, "a", "b"), filepath.Join(base, "a"), base}, of, "each has a new name in it")

	require.NoError(t, os.WriteFile(filepath.Join(deep, ".waddle.lock"), nil, 0o600))
	of, err = made(deep)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(base, "a", "b")}, of, "nothing was ever stored in it")

	require.NoError(t, os.WriteFile(filepath.Join(deep, "format"), nil, 0o600))
	of, err = made(deep)
	require.NoError(t, err)
	require.Empty(t, of)

	t.Chdir(base)
	of, err = made("here")
	require.NoError(t, err)
	require.Len(t, of, 1)

	fails = syscall.EIO
	_, err = made("bad")
	require.ErrorIs(t, err, syscall.EIO, "it may be gone after a power loss")
	for _, fails = range []error{fs.ErrPermission, syscall.EINVAL, syscall.ENOTSUP} {
		_, err = made(filepath.Join("may", "not", fails.Error()))
		require.NoError(t, err)
	}
	require.NoError(t, os.WriteFile("file", nil, 0o600))
	_, err = made(filepath.Join("file", "below"))
	require.Error(t, err)
	info, err := os.Stat("here")
	require.NoError(t, err)
	require.True(t, info.IsDir())
}
