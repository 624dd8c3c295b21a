package folder_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

func readFile(t testing.TB, fs vfs.FS, name string) []byte {
	f, err := fs.OpenFile(name, 0)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, 1<<20)
	n, err := f.ReadAt(b, 0)
	require.ErrorIs(t, err, io.EOF)
	return b[:n]
}

func writeFile(t testing.TB, fs vfs.FS, name string, b []byte) {
	f, err := fs.OpenFile(name, vfs.ReadWrite|vfs.Create|vfs.Truncate)
	require.NoError(t, err)
	_, err = f.WriteAt(b, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// damaged is a store with three records: one that was saved, one that was
// overwritten since, one that is new.
func damaged(t testing.TB) (*crash.Disk, map[string]string) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(0), value(1, 200))
	set(t, s, key(1), value(2, 200))
	require.NoError(t, s.Save(1))
	set(t, s, key(1), value(3, 200))
	set(t, s, key(2), value(4, 200))
	return disk, map[string]string{
		name(0): string(value(1, 200)), name(1): string(value(3, 200)), name(2): string(value(4, 200)),
	}
}

// afterwards opens a store in which one file was changed. Every record is as it
// was stored or is absent, and at most one differs from before.
func afterwards(t *testing.T, disk *crash.Disk, want map[string]string, file, where string) {
	s, err := folder.Open(disk, folder.Options{Shards: 1})
	if file == "format" && err != nil {
		require.ErrorIs(t, err, guest.ErrInvalid, where)
		return
	}
	require.NoError(t, err, where)
	touched := 0
	for k, v := range want {
		got, err := s.Get([]byte(k), 1)
		switch {
		case err == nil && string(got) == v:
			continue
		case err == nil:
			// An unsaved record is treated as after a power loss: the previous
			// record counts.
			require.Equal(t, name(1), k, where)
			require.Equal(t, string(value(2, 200)), string(got), where)
		default:
			require.True(t, errors.Is(err, guest.ErrCorrupt) || errors.Is(err, guest.ErrNotFound), "%s: %v", where, err)
		}
		touched++
	}
	require.LessOrEqual(t, touched, 1, where)

	// The store works, and writing repairs the damage.
	for k := range want {
		require.NoError(t, s.Set(guest.Write{Key: []byte(k), Value: value(9, 50), Now: 1}), where)
	}
	require.NoError(t, s.Save(1), where)
	_, err = s.Sweep(100, 1)
	require.NoError(t, err, where)
	for k := range want {
		has(t, s, []byte(k), value(9, 50), 1)
	}
}

func TestBitFlips(t *testing.T) {
	first, _ := damaged(t)
	flips := 0
	for _, file := range tree(t, first) {
		info, err := first.Stat(file)
		require.NoError(t, err)
		if info.Kind == vfs.Dir {
			continue
		}
		for at := range int(info.Size) {
			if at%4096 > 290 && at%97 != 0 { // zeros
				continue
			}
			disk, want := damaged(t)
			b := readFile(t, disk, file)
			b[at] ^= 1 << (at % 8)
			writeFile(t, disk, file, b)
			afterwards(t, disk, want, file, fmt.Sprintf("%s, byte %d", file, at))
			flips++
		}
	}
	require.Greater(t, flips, 900)
}

func TestTruncatedAndLonger(t *testing.T) {
	first, _ := damaged(t)
	for _, file := range tree(t, first) {
		info, err := first.Stat(file)
		require.NoError(t, err)
		if info.Kind == vfs.Dir {
			continue
		}
		for size := 0; size <= int(info.Size)+40; size += 1 + int(info.Size)/60 {
			disk, want := damaged(t)
			b := append(readFile(t, disk, file), bytes.Repeat([]byte{7}, 100)...)
			writeFile(t, disk, file, b[:size])
			afterwards(t, disk, want, file, fmt.Sprintf("%s, %d bytes", file, size))
		}
		disk, want := damaged(t)
		name := file
		require.NoError(t, disk.Remove(name))
		if name == "format" {
			_, err := folder.Open(disk, folder.Options{Shards: 1})
			require.ErrorIs(t, err, guest.ErrInvalid)
			continue
		}
		afterwards(t, disk, want, name, name+", removed")
	}
}

// A record in the folder of another key belongs to nobody.
func TestOtherKey(t *testing.T) {
	for _, size := range []int{100, 9000} {
		disk := crash.New()
		s := open(t, disk)
		set(t, s, key(0), value(1, size))
		require.NoError(t, s.Save(1))
		var from string
		for _, name := range tree(t, disk) {
			if strings.HasSuffix(name, "/session") {
				from = name
			}
		}
		b := readFile(t, disk, from)
		set(t, s, key(1), value(2, size))
		require.NoError(t, s.Save(1))
		for _, name := range tree(t, disk) {
			if strings.HasSuffix(name, "/session") && name != from {
				writeFile(t, disk, name, b)
			}
		}
		s = open(t, disk)
		_, err := s.Get(key(1), 1)
		require.ErrorIs(t, err, guest.ErrCorrupt)
		has(t, s, key(0), value(1, size), 1)
		require.ErrorIs(t, s.Set(guest.Write{Key: key(1), Value: value(3, 100), Now: 1, Expect: 1}), guest.ErrConflict)
		require.NoError(t, s.Set(guest.Write{Key: key(1), Value: value(3, 100), Now: 1, Expect: abi.ExpectAbsent}))
		has(t, s, key(1), value(3, 100), 1)
	}
}

// Foreign files are not touched, not even by a sweep, and disturb nothing. What a
// killed process left behind is removed.
func TestForeignFiles(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(0), value(1, 100))
	set(t, s, key(1), value(1, 100))
	require.NoError(t, s.Save(1))
	var dir string
	for _, name := range tree(t, disk) {
		if folder, ok := strings.CutSuffix(name, "/session"); ok {
			dir = folder
		}
	}
	leaf := dir[:strings.LastIndexByte(dir, '/')]
	left := dir[:len(dir)-4] + "0000"
	foreign := []string{
		"readme.txt", "sessions-0/notes", leaf + "/notes", leaf + "/NOTES", dir + "/notes",
		leaf + "/" + strings.Repeat("z", 32),
	}
	for _, name := range foreign {
		writeFile(t, disk, name, []byte("mine"))
	}
	require.NoError(t, disk.Mkdir("sessions-0/zz"))
	require.NoError(t, disk.Mkdir("sessions-0/00x"))
	require.NoError(t, disk.Mkdir(leaf+"/abc"))
	require.NoError(t, disk.Mkdir(left))
	writeFile(t, disk, left+"/session", []byte("half a rec"))
	writeFile(t, disk, dir+"/session-new", []byte("half a rec"))

	s = open(t, disk)
	for range 2 {
		_, err := s.Sweep(1000, 1)
		require.NoError(t, err)
	}
	require.Len(t, keys(t, s, 1), 2)
	require.NoError(t, s.Delete(key(0), 1))
	require.NoError(t, s.Delete(key(1), 1))
	require.Empty(t, keys(t, s, 1))
	names := tree(t, disk)
	for _, name := range foreign {
		require.Contains(t, names, name)
	}
	require.Contains(t, names, "sessions-0/zz")
	require.NotContains(t, names, left)
	require.NotContains(t, names, dir+"/session-new")
	require.Zero(t, sessions(t, disk))
}

// A sweep removes a record whose damage shows at once, and reports it.
func TestSweepRemovesDamaged(t *testing.T) {
	disk, _ := damaged(t)
	s := open(t, disk)
	require.NoError(t, s.Save(1))
	for _, name := range tree(t, disk) {
		if strings.HasSuffix(name, "/session") {
			b := readFile(t, disk, name)
			b[20], b[4096+20], b[8192+20] = 255, 255, 255
			writeFile(t, disk, name, b)
		}
	}
	guest.Logged()
	removed, err := s.Sweep(1000, 1)
	require.NoError(t, err)
	require.Equal(t, 3, removed)
	lines := guest.Logged()
	require.Len(t, lines, 1)
	require.Contains(t, lines[0].Text, "removed: 3")
	require.Zero(t, sessions(t, disk))
}

// Once a record has been saved, no older one can take its place, however many
// there were.
func TestNothingOlder(t *testing.T) {
	for _, size := range []int{100, 9000} {
		disk := crash.New()
		s := open(t, disk)
		for revision := 1; revision < 8; revision++ {
			for range revision % 4 {
				set(t, s, key(0), value(revision, size))
			}
			require.NoError(t, s.Save(1))
			for _, name := range tree(t, disk) {
				if !strings.HasSuffix(name, "/session") {
					continue
				}
				whole := readFile(t, disk, name)
				require.Equal(t, 1, bytes.Count(whole, []byte("waddle1\n")), "one record")
				b := bytes.Clone(whole)
				b[bytes.Index(whole, []byte("waddle1\n"))+100] ^= 1
				writeFile(t, disk, name, b)
				_, err := open(t, disk).Get(key(0), 1)
				require.ErrorIs(t, err, guest.ErrCorrupt)
				writeFile(t, disk, name, whole)
			}
			s = open(t, disk)
		}
	}
}

// A record that is damaged while a store is open counts as absent, even if the
// one before it is whole.
func TestDamagedWhileOpen(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(0), value(1, 100))
	require.NoError(t, s.Save(1))
	set(t, s, key(0), value(2, 100))
	for _, name := range tree(t, disk) {
		if strings.HasSuffix(name, "/session") {
			b := readFile(t, disk, name)
			b[4096+100] ^= 1
			writeFile(t, disk, name, b)
		}
	}
	_, err := s.Get(key(0), 1)
	require.ErrorIs(t, err, guest.ErrCorrupt)
	require.ErrorIs(t, s.Touch(key(0), 100, 1), guest.ErrCorrupt)
	set(t, s, key(0), value(3, 100))
	has(t, s, key(0), value(3, 100), 1)
}
