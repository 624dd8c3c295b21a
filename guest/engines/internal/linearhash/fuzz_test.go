package linearhash_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzTable adds and removes hashes that mostly differ in only a few bits, while
// the table grows and shrinks. After each step every hash is where it belongs.
func FuzzTable(f *testing.F) {
	f.Fuzz(func(t *testing.T, steps []byte) {
		h := newHashes()
		for _, step := range steps[:min(len(steps), 300)] {
			switch arg := uint32(step & 0x3f); {
			case step < 0x40:
				h.insert(arg | arg<<28)
			case step < 0x60:
				h.insert(arg * 0x9e3779b1)
			case step < 0x80 && h.count > 0:
				h.remove(arg)
			case step >= 0xc0:
				for range min(arg, h.table.Buckets()-1) {
					h.shrink()
				}
			case step >= 0x80:
				for range arg {
					h.grow()
				}
			}
			require.NoError(t, h.verify())
		}
	})
}
