package plugin_test

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// Actions of the guest of digs.wat, and the errors that it gets.
const (
	digFiles = iota + 1
	digDirectories
	digDeeper

	errnoNameTooLong = 37
	errnoNoSpace     = 51
)

// digging opens the guest of digs.wat over a directory. The function makes it do an
// action a number of times, and returns how often it did and the error that ended it.
func digging(t *testing.T, m plugin.Mount, deadline time.Duration) func(act store.Millis, most int) (errno, n int) {
	config := quiet()
	config.Shards, config.Trusted, config.Deadline, config.Mounts = 1, deadline == 0, deadline, []plugin.Mount{m}
	p := open(t, guest(t, "digs"), config)
	return func(act store.Millis, most int) (errno, n int) {
		value, err := p.Get(ctx, binary.LittleEndian.AppendUint32(nil, uint32(most)), act)
		require.NoError(t, err)
		return int(binary.LittleEndian.Uint32(value[8:])), int(binary.LittleEndian.Uint32(value[12:]))
	}
}

// A quota of bytes alone also bounds empty files and directories.
func TestEmptyFilesCountTowardsAQuotaOfBytes(t *testing.T) {
	for _, c := range []struct {
		bytes, files int64
		most         int
	}{
		{8 << 20, 0, 2048},
		{1, 0, 1024},
		{8 << 20, 3000, 3000},
		{8 << 20, 10, 10},
		{8 << 20, -1, 5000},
		{-1, 0, 5000},
	} {
		for _, act := range []int64{digFiles, digDirectories} {
			dir := t.TempDir()
			errno, n := digging(t, plugin.Mount{Dir: dir, MaxBytes: c.bytes, MaxFiles: c.files}, time.Minute)(store.Millis(act), 5000)
			if c.most < 5000 { // as many as it asks for
				require.Equal(t, errnoNoSpace, errno)
			}
			require.Equal(t, c.most, n)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.LessOrEqual(t, len(entries), c.most+2, "and what is the host's")
		}
	}
}

// A guest that is not trusted has a quota of bytes and files unless another one is set.
func TestMountHasAQuotaByDefault(t *testing.T) {
	for deadline, bounded := range map[time.Duration]bool{0: false, time.Minute: true} {
		config := quiet()
		config.Shards, config.Trusted, config.Deadline, config.Mounts = 1, deadline == 0, deadline, []plugin.Mount{{Dir: t.TempDir()}}
		p := open(t, guest(t, "digs"), config)
		bytes, files := p.MountQuota(0)
		require.Zero(t, config.Mounts[0].MaxBytes, "the caller's list is not changed")
		if !bounded {
			require.Zero(t, bytes)
			require.Zero(t, files)
			continue
		}
		require.EqualValues(t, plugin.DefaultMountBytes, bytes)
		require.EqualValues(t, plugin.DefaultMountBytes/4096, files)
	}
}

// Directories moved into each other stay within the depth in which a guest can name
// them, and the directory can be mounted again.
func TestDirectoriesDoNotBecomeTooDeep(t *testing.T) {
	for _, deadline := range []time.Duration{0, time.Minute} {
		m := plugin.Mount{Dir: t.TempDir(), MaxBytes: 1 << 30}
		errno, n := digging(t, m, deadline)(digDeeper, 600)
		require.Equal(t, errnoNameTooLong, errno)
		require.Equal(t, 31, n)
		m.Dir = t.TempDir()
		m.MaxBytes = 0
		errno, _ = digging(t, m, deadline)(digDeeper, 600)
		require.Equal(t, errnoNameTooLong, errno, "without a quota")
	}
}
