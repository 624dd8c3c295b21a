package plugin_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// No call of a guest moves more than one record's worth between its memory and a file,
// however many vectors it has and however long: nothing ends a call of the host.
func TestTransfersAreBounded(t *testing.T) {
	config := quiet()
	config.Trusted, config.Shards, config.MemoryLimit, config.Deadline = false, 1, 64<<20, time.Minute
	config.Mounts = []plugin.Mount{{Dir: t.TempDir(), MaxBytes: 3 << 30}}
	p := open(t, guest(t, "transfers"), config)
	call := func(act store.Millis) (errno, n int) {
		value, err := p.Get(ctx, key, act)
		require.NoError(t, err)
		require.Len(t, value, 16)
		return int(binary.LittleEndian.Uint32(value[8:])), int(binary.LittleEndian.Uint32(value[12:]))
	}
	const resize = 6
	errno, _ := call(resize)
	require.Zero(t, errno)
	for name, act := range map[string]int64{
		"fd_read": 1, "fd_pread": 2, "fd_write": 3, "fd_pwrite": 4, "standard output": 5,
		"fd_read of one": 11, "fd_pread of one": 12, "fd_write of one": 13, "fd_pwrite of one": 14,
	} {
		began := time.Now()
		errno, n := call(store.Millis(act))
		t.Logf("%s: %d bytes in %v", name, n, time.Since(began))
		require.Zero(t, errno, name)
		require.GreaterOrEqual(t, n, abi.MaxValue, "%s: the largest record is read and written at once", name)
		require.LessOrEqual(t, n, abi.MaxValue+1<<20, name)
	}
}
