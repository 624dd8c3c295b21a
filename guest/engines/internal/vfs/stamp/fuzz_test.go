package stamp_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/stamp"
)

func FuzzClaim(f *testing.F) {
	f.Add(want.String())
	f.Add("waddle keyfolder 2\n")
	f.Add("waddle  1\nshards 4\n")
	f.Fuzz(func(t *testing.T, text string) {
		disk := crash.New()
		put(t, disk, format.Name, text)
		if err := stamp.Claim(disk, want, 0); err != nil {
			require.ErrorIs(t, err, guest.ErrInvalid)
			return
		}
		require.GreaterOrEqual(t, len(text), len(want.String()))
		require.Equal(t, want.String(), text[:len(want.String())])
	})
}
