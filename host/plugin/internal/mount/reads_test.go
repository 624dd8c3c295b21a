package mount_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/experimental/sys"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// A read finds what is in the file, whatever was read before, and whoever has written to it or
// cut it short since it was opened.
func TestReadsAreThoseOfTheFile(t *testing.T) {
	eachWay(t, func(t *testing.T, m *mount.FS, dir string) {
		random := rand.New(rand.NewPCG(1, 2))
		var content []byte
		for range 200 {
			put(t, m, "f", 0)
			content = bytes.Repeat([]byte{1}, random.IntN(300))
			outside, err := os.OpenFile(dir+"/f", os.O_RDWR|os.O_TRUNC, 0)
			require.NoError(t, err)
			_, err = outside.Write(content)
			require.NoError(t, err)
			f, errno := m.OpenFile("f", sys.O_RDWR, 0)
			require.Zero(t, errno)
			at := 0
			for range 20 {
				fill := bytes.Repeat([]byte{byte(random.Int())}, 1+random.IntN(200))
				switch off := random.IntN(400); random.IntN(8) {
				case 0: // somebody else adds to it
					_, err := outside.WriteAt(fill, int64(len(content)))
					require.NoError(t, err)
					content = append(content, fill...)
				case 1: // or cuts it short
					content = content[:min(off, len(content))]
					require.NoError(t, outside.Truncate(int64(len(content))))
				case 2:
					_, errno := f.Pwrite(fill, int64(min(off, len(content))))
					require.Zero(t, errno)
					content = append(content[:min(off, len(content))], append(fill, content[min(len(content), off+len(fill)):]...)...)
				case 3:
					end, errno := f.Seek(0, 2)
					require.Zero(t, errno)
					require.EqualValues(t, len(content), end)
					at = len(content)
				case 4:
					buf := make([]byte, 1+random.IntN(300))
					n, errno := f.Read(buf)
					require.Zero(t, errno)
					require.True(t, bytes.Equal(content[min(at, len(content)):min(at+len(buf), len(content))], buf[:n]))
					at += n
				default:
					if random.IntN(2) == 0 {
						off = 0
					}
					buf := make([]byte, 1+random.IntN(600))
					n, errno := f.Pread(buf, int64(off))
					require.Zero(t, errno)
					require.True(t, bytes.Equal(content[min(off, len(content)):min(off+len(buf), len(content))], buf[:n]))
				}
			}
			require.Zero(t, f.Close())
			require.NoError(t, outside.Close())
		}
	})
}
