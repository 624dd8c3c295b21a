package guest_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

func TestDebug(t *testing.T) {
	guest.Logged()
	guest.Debug("removed", 3, "of", uint8(200), true, int64(math.MinInt64), uint64(math.MaxUint64), errors.New("torn"), []byte("secret"), 1.5)
	guest.Debug(int8(-1), int16(-2), int32(-3), uint(4), uint16(5), uint32(6))
	guest.Debug()
	lines := guest.Logged()
	if !guest.Debugging {
		require.Empty(t, lines)
		return
	}
	require.Equal(t, []guest.Line{
		{Level: guest.LevelDebug, Text: "removed 3 of 200 true -9223372036854775808 18446744073709551615 torn ? ?"},
		{Level: guest.LevelDebug, Text: "-1 -2 -3 4 5 6"},
		{Level: guest.LevelDebug, Text: ""},
	}, lines)
}

// Debug lines must cost nothing in a build without the tag.
func TestDebugCostsNothingWithoutTheTag(t *testing.T) {
	if guest.Debugging {
		t.Skip("this is a development build")
	}
	n, text := 1_000_000, t.Name()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		n++
		guest.Debug("sweep", n, text)
	}))
}

func BenchmarkDebug(b *testing.B) {
	n, text := 1_000_000, b.Name()
	for b.Loop() {
		n++
		guest.Debug("sweep", n, text)
	}
}
