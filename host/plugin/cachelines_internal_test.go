package plugin

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin/internal/fair"
)

// What calls of one shard write lies on no cache line that calls of another write too: the allocator
// places objects of such a size at multiples of it.
func TestShardsShareNoCacheLine(t *testing.T) {
	const line = 64
	for name, size := range map[string]uintptr{
		"instance": unsafe.Sizeof(instance{}),
		"seat":     unsafe.Sizeof(seat{}),
		"meter":    unsafe.Sizeof(meter{}),
		"executor": unsafe.Sizeof(executor{}),
		"call":     unsafe.Sizeof(fair.Call{}),
	} {
		require.Zero(t, sizeOfObject(int(size))%line, "%s: %d bytes", name, size)
	}
}

// sizeOfObject returns how many bytes the allocator takes for an object of so many.
func sizeOfObject(size int) int { return cap(append([]byte(nil), make([]byte, size)...)) }
