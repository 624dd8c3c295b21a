package vfs_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// testBackground syncs files and directories in the background, for as long as that
// takes.
func testBackground(t *testing.T, fs vfs.FS) {
	require.NoError(t, fs.Mkdir("d"))
	f, err := fs.OpenFile("d/f", vfs.ReadWrite|vfs.Create|vfs.Background)
	require.NoError(t, err)
	d, err := fs.OpenDir("d")
	require.NoError(t, err)
	for _, s := range []vfs.Syncer{f, d} {
		over := false
		for n := 0; !over; n++ {
			over, err = s.SyncBehind()
			require.NoError(t, err)
			require.Less(t, n, 1_000_000)
		}
		_, err = s.SyncBehind()
		require.NoError(t, err)
		require.NoError(t, s.Sync())
		require.NoError(t, s.Close())
	}
	_, err = fs.OpenDir("none")
	require.True(t, vfs.NotExist(err))
	_, err = fs.OpenDir("d/f")
	require.Error(t, err)
}

// testListing lists a directory bit by bit while names are removed from it.
func testListing(t *testing.T, fs vfs.FS) {
	const names = 1000
	require.NoError(t, fs.Mkdir("d"))
	for n := range names {
		require.NoError(t, fs.Mkdir(fmt.Sprint("d/", n)))
	}
	d, err := fs.OpenDir("d")
	require.NoError(t, err)
	seen, steps := make(map[string]bool), 0
	for {
		entries, err := d.Next()
		require.NoError(t, err)
		if len(entries) == 0 {
			break
		}
		steps++
		for _, e := range entries {
			require.False(t, seen[e.Name], e.Name)
			require.Equal(t, vfs.Dir, e.Kind)
			seen[e.Name] = true
			require.NoError(t, fs.RemoveDir("d/"+e.Name))
		}
	}
	require.Len(t, seen, names)
	require.Greater(t, steps, 4, "bit by bit")
	require.NoError(t, d.Close())
	require.NoError(t, fs.RemoveDir("d"))
}
