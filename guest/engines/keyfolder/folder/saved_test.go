package folder_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// theSession returns the name of the only file of a record.
func theSession(t testing.TB, fs vfs.FS) (found string) {
	t.Helper()
	for _, name := range tree(t, fs) {
		if strings.HasSuffix(name, "/session") {
			require.Empty(t, found, "one file")
			found = name
		}
	}
	require.NotEmpty(t, found)
	return found
}

// Whatever happens to a saved session, it is never taken for one that never
// existed, whichever way it reached its place.
func TestDamageOfWhatWasSaved(t *testing.T) {
	const size, long = 300, 9000
	for name, prepare := range map[string]func(*testing.T, *crash.Disk, *folder.Store){
		"new": func(t *testing.T, _ *crash.Disk, s *folder.Store) {
			set(t, s, key(0), value(1, size))
		},
		"new, long": func(t *testing.T, _ *crash.Disk, s *folder.Store) {
			set(t, s, key(0), value(1, long))
		},
		"new, written thrice": func(t *testing.T, _ *crash.Disk, s *folder.Store) {
			for revision := range 3 {
				set(t, s, key(0), value(revision, size))
			}
		},
		"written over": func(t *testing.T, _ *crash.Disk, s *folder.Store) {
			set(t, s, key(0), value(1, size))
			require.NoError(t, s.Save(1))
			set(t, s, key(0), value(2, size))
		},
		"outgrown": func(t *testing.T, _ *crash.Disk, s *folder.Store) {
			set(t, s, key(0), value(1, size))
			set(t, s, key(0), value(2, long))
		},
		"after a sync that failed": func(t *testing.T, disk *crash.Disk, s *folder.Store) {
			set(t, s, key(0), value(1, size))
			disk.Hook(func(op crash.Op) (int, error) {
				if op.Kind == crash.Sync {
					return 0, syscall.EIO
				}
				return 0, nil
			})
			require.Error(t, s.Save(1))
			disk.Hook(nil)
		},
		"survived by chance": func(t *testing.T, disk *crash.Disk, s *folder.Store) {
			set(t, s, key(0), value(1, size))
			disk.Restart(crash.Everything)
			*s = *open(t, disk)
			_, err := s.Get(key(0), 1)
			require.NoError(t, err)
			require.NoError(t, s.Touch(key(0), 100, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := crash.New()
			s := open(t, disk)
			prepare(t, disk, s)
			require.NoError(t, s.Save(1))
			disk.Kill(crash.Nothing)
			file := theSession(t, disk)
			whole := readFile(t, disk, file)
			start := bytes.Index(whole, []byte("waddle1\n"))
			end := start + 40 + 32 + int(binary.LittleEndian.Uint32(whole[start+20:]))
			corrupt := func(what string, alter func(b []byte)) {
				b := bytes.Clone(whole)
				alter(b)
				writeFile(t, disk, file, b)
				_, err := open(t, disk).Get(key(0), 1)
				require.ErrorIs(t, err, guest.ErrCorrupt, what)
			}
			for at := start; at < end; at += 1 + at%7 {
				corrupt(fmt.Sprint("a bit at ", at), func(b []byte) { b[at] ^= 1 << (at % 8) })
			}
			corrupt("zeros", func(b []byte) { clear(b) })
			corrupt("a header of zeros", func(b []byte) { clear(b[start : start+40]) })
			corrupt("a sector of zeros", func(b []byte) { clear(b[start : start+512]) })
			corrupt("noise", func(b []byte) {
				for i := range b {
					b[i] = byte(i * 37)
				}
			})
		})
	}
}

// What a power loss left of a session that was never saved counts as nothing,
// and not as damage.
func TestRemainsOfWhatWasNeverSaved(t *testing.T) {
	for _, size := range []int{300, 4000, 9000} {
		for _, writes := range []int{1, 2, 3} {
			disk := crash.New()
			s := open(t, disk)
			for revision := range writes {
				set(t, s, key(0), value(revision, size))
			}
			file := theSession(t, disk)
			written := readFile(t, disk, file)
			disk.Kill(crash.Nothing)
			for what, alter := range map[string]func(b []byte) []byte{
				"a byte of each record": func(b []byte) []byte {
					for at := range b {
						if bytes.HasPrefix(b[at:], []byte("waddle1\n")) {
							b[at+200] ^= 1
						}
					}
					return b
				},
				"the beginnings": func(b []byte) []byte {
					for at := range b {
						if bytes.HasPrefix(b[at:], []byte("waddle1\n")) {
							clear(b[at:][:32])
						}
					}
					return b
				},
				"everything":   func(b []byte) []byte { clear(b); return b },
				"the length":   func(b []byte) []byte { return b[:len(b)/3-1] },
				"all lengths":  func([]byte) []byte { return nil },
				"one more":     func(b []byte) []byte { return append(b, 0, 0) },
				"all but half": func(b []byte) []byte { clear(b[100:]); return b },
			} {
				where := fmt.Sprintf("%s of %d bytes, written %d times", what, size, writes)
				writeFile(t, disk, file, alter(bytes.Clone(written)))
				s := open(t, disk)
				has(t, s, key(0), nil, 1)
				require.Empty(t, keys(t, s, 1), where)
				require.ErrorIs(t, s.Touch(key(0), 100, 1), guest.ErrNotFound, where)
				require.NoError(t, s.Set(guest.Write{Key: key(0), Value: value(9, 50), Now: 1, Expect: abi.ExpectAbsent}), where)
				has(t, s, key(0), value(9, 50), 1)

				writeFile(t, disk, file, alter(bytes.Clone(written)))
				guest.Logged()
				s = open(t, disk)
				removed, err := s.Sweep(1000, 1)
				require.NoError(t, err)
				require.Zero(t, removed, "there was no session")
				require.Zero(t, sessions(t, disk), where)
				lines := guest.Logged()
				require.Len(t, lines, 1)
				require.Equal(t, guest.LevelInfo, lines[0].Level, "not a warning")
				require.Contains(t, lines[0].Text, "were removed: 1")

				require.NoError(t, disk.Mkdir(file[:strings.LastIndexByte(file, '/')]))
			}
		}
	}
}

// The length of a file says whether it was saved.
func TestLength(t *testing.T) {
	length := func(disk *crash.Disk) int {
		info, err := disk.Stat(theSession(t, disk))
		require.NoError(t, err)
		return int(info.Size)
	}
	for _, c := range []struct{ size, slot int }{
		{0, 4096}, {300, 4096}, {4096 - 40 - 32, 4096}, {4096 - 40 - 31, 8192}, {9000, 16384}, {300 << 10, 512 << 10},
	} {
		disk := crash.New()
		s := open(t, disk)
		for range 3 {
			set(t, s, key(0), value(1, c.size))
			require.Equal(t, 3*c.slot, length(disk), "%d bytes", c.size)
		}
		require.NoError(t, s.Save(1))
		for range 3 {
			require.Equal(t, 3*c.slot+1, length(disk), "%d bytes", c.size)
			set(t, s, key(0), value(1, c.size))
		}
	}
}

// A file grows with its record, and shrinks when it is much too large.
func TestSlotsFitTheRecord(t *testing.T) {
	for _, saved := range []bool{false, true} {
		disk := crash.New()
		s := open(t, disk)
		for revision, c := range []struct{ size, slot int }{
			{300, 4096}, {5000, 8192}, {300, 8192}, {9000, 16384}, {300, 16384}, {17000, 32768}, {5000, 32768}, {300, 4096},
			{300 << 10, 512 << 10}, {60000, 64 << 10}, {0, 4096},
		} {
			v := value(revision, c.size)
			set(t, s, key(0), v)
			if saved {
				require.NoError(t, s.Save(1))
			}
			info, err := disk.Stat(theSession(t, disk))
			require.NoError(t, err)
			require.Equal(t, c.slot, int(info.Size)/3, "step %d", revision)
			has(t, s, key(0), v, 1)
			has(t, open(t, disk), key(0), v, 1)
		}
	}
}
