package linearhash_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzTable inserts and removes hashes, few of which differ in more than some
// bits, and has the table fall behind: after each step every slot is where its
// hash belongs.
func FuzzTable(f *testing.F) {
	f.Fuzz(func(t *testing.T, steps []byte) {
		h := newHashes()
		for _, step := range steps[:min(len(steps), 300)] {
			switch arg := uint32(step & 0x3f); {
			case step < 0x40:
				h.insert(arg|arg<<28, true)
			case step < 0x80:
				h.insert(arg*0x9e3779b1, false)
			case step < 0xc0 && len(h.slots) > 0:
				h.remove(arg % uint32(len(h.slots)))
			case step >= 0xc0:
				for range arg { // so that there is enough to be taken away
					h.split()
				}
			}
			require.NoError(t, h.verify())
		}
	})
}
