package crash_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

func Example() {
	disk := crash.New()
	f, _ := disk.OpenFile("synced", vfs.ReadWrite|vfs.Create)
	_, _ = f.WriteAt([]byte("kept"), 0)
	_ = f.Sync()
	_ = disk.SyncDir("")
	_, _ = f.WriteAt([]byte("lost"), 0)
	_, _ = disk.OpenFile("unsynced", vfs.ReadWrite|vfs.Create)

	disk.Restart(crash.Nothing)
	entries, _ := disk.ReadDir("")
	f, _ = disk.OpenFile("synced", 0)
	b := make([]byte, 4)
	_, _ = f.ReadAt(b, 0)
	fmt.Println(entries, string(b))
	// Output: [{synced 0}] kept
}

func write(t *testing.T, fs vfs.FS, name, text string, offset int64) vfs.File {
	f, err := fs.OpenFile(name, vfs.ReadWrite|vfs.Create)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(text), offset)
	require.NoError(t, err)
	return f
}

// read returns the contents of a file, or "-" if there is none.
func read(t *testing.T, fs vfs.FS, name string) string {
	f, err := fs.OpenFile(name, 0)
	if vfs.NotExist(err) {
		return "-"
	}
	require.NoError(t, err)
	b := make([]byte, 1<<16)
	n, _ := f.ReadAt(b, 0)
	return string(b[:n])
}

func TestPowerLoss(t *testing.T) {
	for _, c := range []struct {
		name     string
		survival crash.Survival
		want     map[string]string
	}{
		{"nothing", crash.Nothing, map[string]string{"a": "old", "b": "-", "c": "C", "d": "-"}},
		{"everything", crash.Everything, map[string]string{"a": "new", "b": "B", "c": "-", "d": "C"}},
		{"names", crash.NamesOnly, map[string]string{"a": "old", "b": "", "c": "-", "d": "C"}},
		{"data", crash.DataOnly, map[string]string{"a": "new", "b": "-", "c": "C", "d": "-"}},
		{"lengths", crash.Lengths, map[string]string{"a": "\x00\x00\x00", "b": "\x00", "c": "-", "d": "C"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := crash.New()
			a := write(t, disk, "a", "old", 0)
			require.NoError(t, a.Sync())
			require.NoError(t, write(t, disk, "c", "C", 0).Sync())
			require.NoError(t, disk.SyncDir(""))
			_, err := a.WriteAt([]byte("new"), 0)
			require.NoError(t, err)
			write(t, disk, "b", "B", 0)
			require.NoError(t, disk.Rename("c", "d"))

			disk.Restart(c.survival)
			for name, want := range c.want {
				require.Equal(t, want, read(t, disk, name), name)
			}
			require.ErrorIs(t, a.Sync(), syscall.EBADF, "a handle from before")
		})
	}
}

// What was synced is there whatever else is. A rename that was not synced leaves one
// of the two files, never neither.
func TestChance(t *testing.T) {
	seen := make(map[string]int)
	for seed := range uint64(300) {
		disk := crash.New()
		require.NoError(t, write(t, disk, "a", "old", 0).Sync())
		require.NoError(t, disk.SyncDir(""))
		require.NoError(t, write(t, disk, "t", "new", 0).Sync())
		require.NoError(t, disk.Rename("t", "a"))
		write(t, disk, "torn", string(make([]byte, 100)), 0)
		disk.Restart(crash.Some(rand.New(rand.NewPCG(seed, 0))))
		got := read(t, disk, "a")
		require.Contains(t, []string{"old", "new"}, got)
		seen[got]++
		seen[fmt.Sprint("torn ", len(read(t, disk, "torn")))]++
	}
	require.Greater(t, seen["old"], 50)
	require.Greater(t, seen["new"], 50)
	require.Greater(t, seen["torn 1"], 50, "no file")
	require.Greater(t, seen["torn 0"], 20, "an empty file")
	require.Greater(t, seen["torn 100"], 20, "all of it")
	require.Greater(t, len(seen), 6, "parts")
}

func TestCut(t *testing.T) {
	script := func(disk *crash.Disk) error {
		if err := disk.Mkdir("d"); err != nil {
			return err
		}
		f, err := disk.OpenFile("d/f", vfs.ReadWrite|vfs.Create)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte("text"), 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := disk.SyncDir("d"); err != nil {
			return err
		}
		return disk.SyncDir("")
	}
	disk := crash.New()
	require.NoError(t, script(disk))
	require.Equal(t, 6, disk.Changes())
	disk.Restart(crash.Nothing)
	require.Equal(t, "text", read(t, disk, "d/f"))

	for n := 1; n <= 6; n++ {
		disk := crash.New()
		disk.CutAt(n)
		require.ErrorIs(t, script(disk), crash.ErrPower, "cut at %d", n)
		require.True(t, disk.Off())
		_, err := disk.ReadDir("")
		require.ErrorIs(t, err, crash.ErrPower)
		disk.Restart(crash.Nothing)
		require.Equal(t, "-", read(t, disk, "d/f"), "cut at %d", n)
	}

	// A killed process leaves everything that it had written, and part of what it was
	// writing.
	for seed := range uint64(20) {
		disk := crash.New()
		disk.CutAt(3)
		require.ErrorIs(t, script(disk), crash.ErrPower)
		disk.Kill(crash.Some(rand.New(rand.NewPCG(seed, 0))))
		require.Contains(t, []string{"", "t", "te", "tex", "text"}, read(t, disk, "d/f"))
	}
	disk = crash.New()
	disk.CutAt(4)
	require.ErrorIs(t, script(disk), crash.ErrPower)
	disk.Kill(crash.Nothing)
	require.Equal(t, "text", read(t, disk, "d/f"))
}

func TestFaults(t *testing.T) {
	disk := crash.New()
	f := write(t, disk, "a", "old", 0)
	require.NoError(t, f.Sync())
	require.NoError(t, disk.SyncDir(""))

	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Write {
			return 2, syscall.ENOSPC
		}
		return 0, nil
	})
	n, err := f.WriteAt([]byte("new"), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 2, n)
	require.Equal(t, "ned", read(t, disk, "a"))

	// A failed sync is not mended by one that succeeds, but only by another write and
	// a sync.
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Sync {
			return 0, syscall.EIO
		}
		return 0, nil
	})
	require.ErrorIs(t, f.Sync(), syscall.EIO)
	disk.Hook(nil)
	require.NoError(t, f.Sync())
	disk.Restart(crash.Nothing)
	require.Equal(t, "old", read(t, disk, "a"))

	f, err = disk.OpenFile("a", vfs.ReadWrite)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("new"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	disk.Restart(crash.Nothing)
	require.Equal(t, "new", read(t, disk, "a"))
}

// A file keeps its number through renames and power losses, and no other file ever
// gets it.
func TestNumbers(t *testing.T) {
	disk := crash.New()
	number := func(name string) uint64 {
		n, err := disk.Number(name)
		require.NoError(t, err)
		return n
	}
	write(t, disk, "a", "old", 0)
	write(t, disk, "b", "other", 0)
	require.NoError(t, disk.Mkdir("dir"))
	a := number("a")
	require.Len(t, map[uint64]bool{number(""): true, a: true, number("b"): true, number("dir"): true}, 4)
	require.NoError(t, disk.Rename("a", "dir/b"))
	require.Equal(t, a, number("dir/b"))
	disk.Restart(crash.Everything)
	require.Equal(t, a, number("dir/b"))
	require.NoError(t, disk.Remove("dir/b"))
	write(t, disk, "a", "new", 0)
	require.NotEqual(t, a, number("a"))
	_, err := disk.Number("dir/b")
	require.ErrorIs(t, err, syscall.ENOENT)
}

// A sync in the background is for what was there when it began. What follows needs
// another, and before it is over nothing is certain.
func TestSyncBehind(t *testing.T) {
	begin := func(linger int) (*crash.Disk, vfs.File, vfs.Directory) {
		d := crash.New()
		d.Linger(linger)
		f, err := d.OpenFile("f", vfs.ReadWrite|vfs.Create|vfs.Background)
		require.NoError(t, err)
		require.NoError(t, d.SyncDir(""))
		dir, err := d.OpenDir("")
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("first"), 0)
		require.NoError(t, err)
		require.NoError(t, d.Mkdir("one"))
		for _, s := range []vfs.Syncer{f, dir} {
			over, err := s.SyncBehind()
			require.NoError(t, err)
			require.False(t, over)
		}
		_, err = f.WriteAt([]byte("FI"), 0)
		require.NoError(t, err)
		require.NoError(t, d.Mkdir("two"))
		return d, f, dir
	}
	there := func(d *crash.Disk, text string, names int) {
		t.Helper()
		f, err := d.OpenFile("f", 0)
		require.NoError(t, err)
		b := make([]byte, 9)
		n, _ := f.ReadAt(b, 0)
		require.Equal(t, text, string(b[:n]))
		entries, err := d.ReadDir("")
		require.NoError(t, err)
		require.Len(t, entries, names)
	}
	d, _, _ := begin(1)
	require.Equal(t, 2, d.Behind())
	d.Restart(crash.Nothing)
	there(d, "", 1)

	d, f, dir := begin(3)
	for _, s := range []vfs.Syncer{f, dir} {
		for n := range 3 {
			over, err := s.SyncBehind()
			require.NoError(t, err)
			require.Equal(t, n == 2, over)
		}
	}
	require.Zero(t, d.Behind())
	d.Restart(crash.Nothing)
	there(d, "first", 2)

	d, f, dir = begin(100)
	require.NoError(t, f.Sync())
	require.NoError(t, dir.Sync())
	d.Restart(crash.Nothing)
	there(d, "FIrst", 3)

	// One that fails leaves what came later to another.
	d, f, _ = begin(1)
	d.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Sync {
			return 0, syscall.EIO
		}
		return 0, nil
	})
	over, err := f.SyncBehind()
	require.True(t, over)
	require.Equal(t, syscall.EIO, err)
	d.Hook(nil)
	require.NoError(t, f.Sync())
	d.Restart(crash.Nothing)
	there(d, "FI", 1)
}
