package session

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestSizeOfASession: memory comes in pieces of some sizes. A field too many costs each
// request that looks at its session the step to the next, which is 64 bytes.
func TestSizeOfASession(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("pointers are smaller here")
	}
	require.LessOrEqual(t, unsafe.Sizeof(Session{}), uintptr(512))
	require.LessOrEqual(t, unsafe.Sizeof(request{}), uintptr(416))
}
