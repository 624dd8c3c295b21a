//go:build !wasip1

package wasmtest

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/abi"
)

// Copies returns two instances that are as copies of one: they have begun with the same
// random bytes and at the same time, and nothing tells them apart. From now on each
// gets random bytes of its own. They are not open. There are directories for both, or none.
func (m *Module) Copies(t testing.TB, dirs ...string) (a, b *Instance) {
	t.Helper()
	start := func(dir string) *Instance {
		random := new(switching)
		i := m.instantiate(t, dir, wazero.NewModuleConfig().WithRandSource(random)) // whose clock stands still
		random.free = true
		return i
	}
	if dirs == nil {
		dirs = make([]string, 2)
	}
	a, b = start(dirs[0]), start(dirs[1])
	require.True(t, bytes.Equal(a.All(), b.All()), "copies have the same memory")
	return a, b
}

// All returns the instance's whole memory, which is valid until the next call.
func (i *Instance) All() []byte {
	all, _ := i.Memory.Read(0, i.Memory.Size())
	return all
}

// Copied tells the instance that it is a copy.
func (i *Instance) Copied() abi.Code { return abi.Code(i.Call(abi.ExportCopied)) }

// switching gives the same bytes to all, and then random ones.
type switching struct {
	free bool
	next byte
}

func (s *switching) Read(b []byte) (int, error) {
	if s.free {
		return rand.Read(b)
	}
	for i := range b {
		s.next = s.next*5 + 17
		b[i] = s.next
	}
	return len(b), nil
}
