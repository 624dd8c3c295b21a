package image

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Not every system that runs the tests swaps.
func TestOwn(t *testing.T) {
	const softDirty, exclusive, number = 1 << 55, 1 << 56, 0x12345
	for _, test := range []struct {
		name  string
		entry uint64
		want  bool
	}{
		{"never touched", 0, false},
		{"never touched, as some systems say it", softDirty, false},
		{"of the file, read", present | ofFile | number, false},
		{"of the file, read by this memory alone", present | ofFile | exclusive | number, false},
		{"of the file, about to move", swapped | ofFile | number, false},
		{"written to", present | exclusive | number, true},
		{"written to, number hidden", present, true},
		{"written to, swapped out", swapped | number, true},
	} {
		require.Equal(t, test.want, own(test.entry), test.name)
	}
}
