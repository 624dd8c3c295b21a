package image_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

func TestReleasedMemory(t *testing.T) {
	needed(t)
	im, _ := newImage(t, kiB64, 1)
	m := newMemory(t, im, 2*kiB64)
	delta, err := m.Delta(kiB64, im, nil, nil)
	require.NoError(t, err)
	require.NoError(t, m.Release())
	require.Nil(t, m.Bytes(kiB64))
	_, err = m.Dirty(kiB64, nil)
	require.ErrorIs(t, err, image.ErrClosed)
	_, err = m.Delta(kiB64, im, nil, nil)
	require.ErrorIs(t, err, image.ErrClosed)
	require.ErrorIs(t, m.Apply(delta), image.ErrClosed)
	require.ErrorIs(t, m.Reset(im), image.ErrClosed)
}

// A memory keeps what it needs of its image: it can be reset and taken out as a
// delta after Close. Nothing new begins from a closed image.
func TestClosedImage(t *testing.T) {
	needed(t)
	closed, memory := newImage(t, kiB64, 1)
	open, _ := newImage(t, kiB64, 2)
	m, other := newMemory(t, closed, 2*kiB64), newMemory(t, open, 2*kiB64)
	m.Bytes(kiB64)[9] = 9
	require.NoError(t, closed.Close())

	delta, err := m.Delta(kiB64, closed, nil, nil)
	require.NoError(t, err)
	require.NoError(t, m.Reset(closed))
	equal(t, memory, m.Bytes(kiB64), "reset")
	require.NoError(t, m.Apply(delta))
	require.EqualValues(t, 9, m.Bytes(kiB64)[9])

	_, err = image.Map(closed, 2*kiB64)
	require.ErrorIs(t, err, image.ErrClosed)
	require.ErrorIs(t, other.Reset(closed), image.ErrClosed)
	require.NoError(t, m.Release())
	_, err = other.Delta(kiB64, closed, nil, nil)
	require.ErrorIs(t, err, image.ErrClosed, "its last memory is gone")
}

// Whoever maps while another closes gets a memory of that image or an error.
func TestCloseWhileMapping(t *testing.T) {
	needed(t)
	for range 50 {
		memory := make([]byte, kiB64)
		memory[1] = 77
		im, err := image.New(memory)
		require.NoError(t, err)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for {
					m, err := image.Map(im, 2*kiB64)
					if err != nil {
						if !isClosed(err) {
							t.Error(err)
						}
						return
					}
					if m.Bytes(kiB64)[1] != 77 {
						t.Error("another file was mapped")
					}
					if _, err := m.Delta(kiB64, im, nil, nil); err != nil {
						t.Error(err)
					}
					if err := m.Release(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Go(func() {
			other, err := image.New(make([]byte, kiB64))
			if err != nil {
				t.Error(err)
				return
			}
			defer other.Close()
			if err := im.Close(); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
	}
}

func TestWrongSizes(t *testing.T) {
	needed(t)
	_, err := image.New(make([]byte, page))
	require.ErrorIs(t, err, image.ErrSize)
	im, _ := newImage(t, 2*kiB64, 1)
	large, _ := newImage(t, 4*kiB64, 1)
	for _, limit := range []uint64{0, kiB64, 2*kiB64 + page, 1<<32 + kiB64, 1<<64 - kiB64} {
		_, err = image.Map(im, limit)
		require.ErrorIs(t, err, image.ErrSize, limit)
	}
	m := newMemory(t, im, 3*kiB64)
	for _, size := range []uint64{page, 4 * kiB64} {
		_, err = m.Dirty(size, nil)
		require.ErrorIs(t, err, image.ErrSize)
		_, err = m.Delta(size, im, nil, nil)
		require.ErrorIs(t, err, image.ErrSize)
	}
	require.ErrorIs(t, m.Reset(large), image.ErrSize)
}
