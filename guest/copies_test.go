package guest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

// copier is told, before it is opened.
type copier struct {
	plain
	told []string
	fail error
}

func (c *copier) Copied() error {
	c.told = append(c.told, "copied")
	return c.fail
}

func (c *copier) Open(config *guest.Config) error {
	c.told = append(c.told, "opened")
	return c.plain.Open(config)
}

func TestCopiedIsTold(t *testing.T) {
	engine := new(copier)
	h := guest.NewHarness(engine, info)
	require.NoError(t, h.Copied())
	require.NoError(t, h.Open())
	require.Equal(t, []string{"copied", "opened"}, engine.told)
	require.EqualError(t, h.Copied(), "guest: INVALID: session_copied was called after session_open")
	require.Equal(t, []string{"copied", "opened"}, engine.told, "what is in use is not drawn anew")

	engine = &copier{fail: guest.Fail(guest.ErrUnavailable, "no entropy")}
	h = guest.NewHarness(engine, info)
	require.EqualError(t, h.Copied(), "guest: UNAVAILABLE: no entropy")
}

// An engine that is not told has nothing that it must draw anew.
func TestCopiedIsOptional(t *testing.T) {
	h := guest.NewHarness(new(plain), info)
	require.ErrorIs(t, h.Copied(), guest.ErrUnsupported)
	require.NoError(t, h.Open())
	require.ErrorIs(t, h.Copied(), guest.ErrUnsupported)
}

func TestRandom(t *testing.T) {
	guest.Random(nil)
	for _, size := range []int{1, 7, 8, 4096} {
		seen := make([]byte, size) // every bit that was ever set
		for range 64 {
			b := make([]byte, size)
			guest.Random(b)
			for i := range b {
				seen[i] |= b[i]
			}
		}
		for i, bits := range seen {
			require.EqualValues(t, 0xff, bits, "byte %d of %d", i, size)
		}
	}
	all := uint64(0)
	for range 64 {
		all |= guest.RandomUint64()
	}
	require.Equal(t, ^uint64(0), all)
	require.NotEqual(t, guest.RandomUint64(), guest.RandomUint64())
}
