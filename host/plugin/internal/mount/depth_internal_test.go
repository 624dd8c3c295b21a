package mount

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The number of entries checked before a directory moves deeper is bounded.
func TestWhatMovesDeeperIsLookedAtInPart(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		require.NoError(t, os.MkdirAll(fmt.Sprintf("%s/%d/below", dir, i), 0o700))
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	for _, c := range []struct {
		levels, left int
		want         error
	}{
		{2, 20, nil}, {30, 20, nil}, {2, 19, errTooMany}, {2, 5, errTooMany}, {1, 20, errTooDeep}, {0, 20, errTooDeep},
	} {
		left := c.left
		require.Equal(t, c.want, fits(root, c.levels, &left), "%d levels, %d entries", c.levels, c.left)
	}
}
