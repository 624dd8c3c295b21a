package mount

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
)

// After a file loses its name and before that is counted, its last handle may
// be closed and its number given to a new file. A bug once made that file take
// over the bytes of the old one.
func TestNumberOfAFileIsUsedAgain(t *testing.T) {
	m, err := Open(t.TempDir(), Options{MaxBytes: 1000})
	require.NoError(t, err)
	defer m.Close()
	create := func(path string, size int) sys.File {
		f, errno := m.OpenFile(path, sys.O_RDWR|sys.O_CREAT, 0)
		require.Zero(t, errno)
		_, errno = f.Write(make([]byte, size))
		require.Zero(t, errno)
		return f
	}
	old := create("old", 100)
	n, _ := parse("old")
	st, errno := m.look(n)
	require.Zero(t, errno)
	v := m.victim(n, st)
	require.NoError(t, m.root.Remove("old"))
	require.Zero(t, old.Close())
	other := create("new", 10)
	v.gone()
	require.Equal(t, Usage{Bytes: 10, Files: 1, Open: 1}, m.Usage())
	_, errno = other.Write(make([]byte, 990))
	require.Zero(t, errno)
	_, errno = other.Write(make([]byte, 1))
	require.Equal(t, ENOSPC, errno)
	require.Zero(t, other.Close())

	// A name that could not be removed is found again, with its handles.
	open, errno := m.OpenFile("new", sys.O_RDWR, 0)
	require.Zero(t, errno)
	n, _ = parse("new")
	st, _ = m.look(n)
	m.victim(n, st).spare()
	again, errno := m.OpenFile("new", sys.O_RDWR, 0)
	require.Zero(t, errno)
	require.Same(t, open.(*file).node, again.(*file).node)
	require.Zero(t, open.Close())
	require.Zero(t, again.Close())
	require.Empty(t, m.handles.nodes)
}
