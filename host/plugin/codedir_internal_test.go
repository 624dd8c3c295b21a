package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that looks into a directory while another one puts code there removes none of it: at each
// moment what is there is sealed.
func TestCodeDirAddsOnlyWhatIsSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "module")
	require.NoError(t, os.Mkdir(path, 0o700))
	d := &codeDir{path: path}
	put := func(name, content string) string {
		require.NoError(t, d.write(filepath.Join(path, name+partial), []byte(content)))
		return filepath.Join(path, name+partial)
	}
	require.NoError(t, d.add(map[string]string{"wazero-1/a": put("a", "first")}))

	b, err := sumFile(put("b", "second"))
	require.NoError(t, err)
	require.NoError(t, d.seal(map[string]string{"b": b}))
	look := func() int {
		other := &codeDir{path: path}
		require.NoError(t, other.verify())
		return other.sealed
	}
	require.Equal(t, 1, look(), "the sums name a file that is not there yet")
	require.NoError(t, os.Rename(filepath.Join(path, "b"+partial), filepath.Join(path, "b")))
	require.Equal(t, 2, look())
	require.NoError(t, os.WriteFile(filepath.Join(path, "b"), []byte("changed"), 0o600))
	require.Equal(t, 1, look())
	require.NoFileExists(t, filepath.Join(path, "b"))
}

func TestCodeDirLosesNothingToThoseWhoLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "module")
	require.NoError(t, os.Mkdir(path, 0o700))
	d, done, looked := &codeDir{path: path}, make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-done:
				looked <- nil
				return
			default:
			}
			if err := (&codeDir{path: path}).verify(); err != nil {
				looked <- err
				return
			}
		}
	}()
	const files = 60
	for i := range files {
		name := fmt.Sprint("code-", i)
		from := filepath.Join(path, name+partial)
		require.NoError(t, os.WriteFile(from, []byte(name), 0o600))
		require.NoError(t, d.add(map[string]string{name: from}))
	}
	close(done)
	require.NoError(t, <-looked)
	d = &codeDir{path: path}
	require.NoError(t, d.verify())
	require.Equal(t, files, d.sealed)
}
