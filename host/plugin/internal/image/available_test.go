package image_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

// Where it is not available, everything says why and nothing panics.
func TestAvailable(t *testing.T) {
	err := image.Available()
	if err == nil {
		require.Equal(t, "linux", runtime.GOOS)
		return
	}
	require.ErrorIs(t, err, image.ErrUnavailable)
	if runtime.GOOS == "linux" {
		t.Skip(err)
	}
	_, err = image.New(make([]byte, image.Granularity))
	require.True(t, errors.Is(err, image.ErrUnavailable), err)
}
