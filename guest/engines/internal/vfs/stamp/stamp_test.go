package stamp_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/stamp"
)

var want = format.Format{Engine: "keyfolder", Version: 1, Shards: 4}

func Example() {
	disk := crash.New()
	err := stamp.Claim(disk, format.Format{Engine: "keyfolder", Version: 1, Shards: 4}, 0)
	fmt.Println(err)
	err = stamp.Claim(disk, format.Format{Engine: "keyfolder", Version: 1, Shards: 4}, 1)
	fmt.Println(err)
	err = stamp.Claim(disk, format.Format{Engine: "dynfile", Version: 1, Shards: 4}, 0)
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
	// guest: INVALID: the directory cannot be used: it belongs to the engine keyfolder, not to dynfile
}

func put(t *testing.T, fs vfs.FS, name, text string) {
	f, err := fs.OpenFile(name, vfs.ReadWrite|vfs.Create|vfs.Truncate)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	require.NoError(t, err)
}

func TestClaim(t *testing.T) {
	for _, c := range []struct{ file, message string }{
		{"waddle keyfolder 1\nshards 4\n", ""},
		{"waddle keyfolder 1\nshards 4\nmore\n", ""},
		{"waddle dynfile 1\nshards 4\n", "it belongs to the engine dynfile"},
		{"waddle dynfile 9\nwhatever\n", "it belongs to the engine dynfile"},
		{"waddle keyfolder 2\nshards 4\n", "version 2 of the layout: this engine knows version 1"},
		{"waddle keyfolder 2\nwhatever\n", "version 2 of the layout"},
		{"waddle keyfolder 1\nshards 8\n", "made for 8 shards, not for 4"},
		{"waddle keyfolder 1\nshards 1\n", "made for 1 shard, not for 4"},
		{"waddle keyfolder 1\nshards 4", "not one of ours"},
		{"waddle keyfolder 1\nshards 04\n", "not one of ours"},
		{"waddle keyfolder 1\n", "not one of ours"},
		{"waddle keyfolder -1\nshards 4\n", "not one of ours"},
		{"waddle keyfolder\nshards 4\n", "not one of ours"},
		{"waddle ../x 1\nshards 4\n", "not one of ours"},
		{"", "not one of ours"},
		{"\x00\xff", "not one of ours"},
	} {
		t.Run(c.file, func(t *testing.T) {
			disk := crash.New()
			put(t, disk, format.Name, c.file)
			err := stamp.Claim(disk, want, 0)
			if c.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, guest.ErrInvalid)
			require.ErrorContains(t, err, c.message)
		})
	}
}

func TestVacant(t *testing.T) {
	disk := crash.New()
	put(t, disk, ".lock", "")
	put(t, disk, "format-new-3", "half")
	require.NoError(t, disk.Mkdir("lost+found"))
	require.NoError(t, stamp.Claim(disk, want, 3))

	disk = crash.New()
	put(t, disk, "letter.txt", "")
	require.ErrorIs(t, stamp.Claim(disk, want, 0), guest.ErrInvalid)
}

func TestPowerLoss(t *testing.T) {
	disk := crash.New()
	require.NoError(t, stamp.Claim(disk, want, 0))
	changes := disk.Changes()
	disk.Restart(crash.Nothing)
	_, err := disk.Stat(format.Name)
	require.NoError(t, err, "durable")

	for n := 1; n <= changes; n++ {
		for i, survival := range []crash.Survival{crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths} {
			disk := crash.New()
			disk.CutAt(n)
			require.Error(t, stamp.Claim(disk, want, 0))
			disk.Restart(survival)
			require.NoError(t, stamp.Claim(disk, want, 0), "cut at %d, survival %d", n, i)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ errno, want error }{
		{syscall.ENOSPC, guest.ErrNoSpace},
		{syscall.EDQUOT, guest.ErrNoSpace},
		{syscall.EROFS, guest.ErrDenied},
		{syscall.EIO, guest.ErrUnavailable},
	} {
		for _, kind := range []crash.Kind{crash.Create, crash.Write, crash.Sync, crash.Rename, crash.SyncDir} {
			disk := crash.New()
			disk.Hook(func(op crash.Op) (int, error) {
				if op.Kind == kind {
					return 0, c.errno
				}
				return 0, nil
			})
			require.ErrorIs(t, stamp.Claim(disk, want, 0), c.want, "%s: %v", kind, c.errno)
			disk.Hook(nil)
			require.NoError(t, stamp.Claim(disk, want, 0))
			disk.Restart(crash.Nothing)
			_, err := disk.Stat(format.Name)
			require.NoError(t, err, "%s: durable at last", kind)
		}
	}
}
