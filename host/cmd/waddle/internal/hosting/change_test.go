package hosting

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func (y *yard) put(content string) error {
	y.Helper()
	m, err := tenant.ParseManifest([]byte(content))
	require.NoError(y, err)
	return y.Put(context.Background(), m, []byte(content))
}

func (y *yard) contents() map[string]string {
	y.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(y.path)
	require.NoError(y, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(y.path, e.Name()))
		require.NoError(y, err)
		all[e.Name()] = string(b)
	}
	return all
}

// TestPutAndDelete: what the operator asks for lies in the directory, so that it is there
// after a restart, and later looks at the directory change nothing.
func TestPutAndDelete(t *testing.T) {
	y := newYard(t)
	y.write("team-a.json", manifest("alice"))
	y.scan()
	y.to.take()
	alice, bob := manifest("alice", "a.localhost"), manifest("bob", "b.localhost")
	require.NoError(t, y.put(alice))
	require.NoError(t, y.put(bob))
	require.Equal(t, map[string]string{"team-a.json": alice, "bob.json": bob}, y.contents())
	require.Equal(t, []string{"deploy alice", "deploy bob"}, y.to.take())
	for range 3 {
		y.scan()
	}
	require.Empty(t, y.to.take())
	require.NoError(t, y.Delete(context.Background(), "alice"))
	require.NoError(t, y.Delete(context.Background(), "bob"))
	require.Empty(t, y.contents())
	require.Empty(t, y.to.names())
	require.ErrorIs(t, y.Delete(context.Background(), "bob"), tenant.ErrUnknown)
	y.scan()
	require.Equal(t, []string{"remove alice", "remove bob"}, y.to.take())
	require.Empty(t, y.files)
}

func TestPutThatFails(t *testing.T) {
	y := newYard(t)
	alice := manifest("alice", "a.localhost")
	y.write("a.json", alice)
	y.scan()
	before := y.contents()
	y.to.fail["alice"] = errors.New("no such plugin")
	y.to.fail["bob"] = errors.New("no such plugin")
	require.ErrorContains(t, y.put(manifest("alice", "b.localhost")), "no such plugin")
	require.ErrorContains(t, y.put(manifest("bob", "b.localhost")), "no such plugin")
	require.ErrorIs(t, y.put(manifest("carol", "a.localhost")), ErrConflict)
	require.ErrorIs(t, y.put(manifest("a")), ErrConflict, "its file would be alice's")
	require.Equal(t, before, y.contents())
	require.Equal(t, []string{"alice"}, y.to.names())
	y.to.take()
	for range 3 {
		y.scan()
	}
	require.Empty(t, y.to.take())
	require.Empty(t, y.Problems())
	require.Len(t, y.files, 1)
	clear(y.to.fail)
	require.NoError(t, y.put(manifest("bob", "b.localhost")), "nobody has that host")
}

func TestTemporaryFilesAreRemoved(t *testing.T) {
	y := newYard(t)
	y.write(temporaryPrefix+"123", "{")
	y.write("a.json", manifest("alice"))
	removeTemporary(y.path)
	require.Len(t, y.contents(), 1)
}
