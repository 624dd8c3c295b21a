package image_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

func isClosed(err error) bool { return errors.Is(err, image.ErrClosed) }

// damaged is a delta, and memories to apply it to.
func damaged(t testing.TB) (delta []byte, memory []byte, m *image.Memory) {
	needed(t)
	im, memory := newImage(t, kiB64, 1)
	m = newMemory(t, im, 2*kiB64)
	b := m.Bytes(2 * kiB64)
	b[1], b[page], b[kiB64+5], b[kiB64+100] = 3, 0, 5, 6
	clear(b[2*page : 3*page])
	delta, err := m.Delta(2*kiB64, im, nil, nil)
	require.NoError(t, err)
	require.NoError(t, m.Reset(im))
	return delta, memory, m
}

// Whatever is wrong with a delta, it is refused and the memory is as it was.
func TestDamagedDelta(t *testing.T) {
	delta, memory, m := damaged(t)
	refused := func(d []byte, about ...any) {
		t.Helper()
		require.ErrorIs(t, m.Apply(d), image.ErrDelta, about...)
	}
	for n := range delta {
		refused(delta[:n], "cut to ", n)
	}
	refused(append(slices.Clone(delta), 0), "longer")
	for at := range delta {
		d := slices.Clone(delta)
		d[at] ^= 1 << (at % 8)
		refused(d, "changed at ", at)
	}
	one := make([]byte, 12)
	one[0] = 1
	refused(image.Sealed(append(one, one...), 2, m.Image()), "a page twice")
	other, _ := newImage(t, kiB64, 1)
	require.ErrorIs(t, newMemory(t, other, 2*kiB64).Apply(delta), image.ErrDelta, "another image")
	require.ErrorIs(t, newMemory(t, m.Image(), kiB64).Apply(delta), image.ErrDelta, "a smaller region")

	equal(t, memory, m.Bytes(kiB64), "the memory is as it was")
	equal(t, make([]byte, kiB64), m.Bytes(2 * kiB64)[kiB64:], "the memory is as it was")
	require.NoError(t, m.Apply(delta))
}

// FuzzApply damages deltas and then makes their sums right, so that what is checked
// besides the sum is all that stands before the memory.
func FuzzApply(f *testing.F) {
	delta, memory, m := damaged(f)
	f.Add(delta[16:], uint32(4))
	f.Add([]byte{}, uint32(0))
	f.Add([]byte{31, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint32(1))
	f.Add([]byte{32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint32(1))
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0}, uint32(1))
	f.Add(append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), uint32(2))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 7}, uint32(1))
	f.Fuzz(func(t *testing.T, pages []byte, count uint32) {
		d := image.Sealed(pages, count, m.Image())
		if err := m.Apply(d); err != nil {
			require.ErrorIs(t, err, image.ErrDelta)
			equal(t, memory, m.Bytes(kiB64), "refused and yet written")
			equal(t, make([]byte, kiB64), m.Bytes(2 * kiB64)[kiB64:], "refused and yet written")
			return
		}
		again, err := m.Delta(2*kiB64, m.Image(), nil, nil)
		require.NoError(t, err)
		want := slices.Clone(m.Bytes(2 * kiB64))
		require.NoError(t, m.Reset(m.Image()))
		require.NoError(t, m.Apply(again))
		equal(t, want, m.Bytes(2*kiB64), "applied, taken out and applied again")
		require.NoError(t, m.Reset(m.Image()))
	})
}
