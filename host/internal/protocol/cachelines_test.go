package protocol

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// A get or a set on a shard that another processor used last moves as few cache lines as
// can be: the lock, the instance, the fuel and its own counters.
func TestWhatOperationsWriteLiesTogether(t *testing.T) {
	var s shard
	const lines = 2 * 64
	require.Less(t, unsafe.Offsetof(s.mu), uintptr(lines))
	require.Less(t, unsafe.Offsetof(s.inst), uintptr(lines))
	require.Less(t, unsafe.Offsetof(s.seenFuel), uintptr(lines))
	require.LessOrEqual(t, unsafe.Offsetof(s.ops)+uintptr(opSet+1)*unsafe.Sizeof(s.ops[0]), uintptr(lines))
	require.Zero(t, cap(append([]byte(nil), make([]byte, unsafe.Sizeof(s))...))%64, "no two shards share a line")

	// What others only read must not move with it.
	written := unsafe.Offsetof(s.progress) / 64
	require.NotEqual(t, written, unsafe.Offsetof(s.party)/64)
}
