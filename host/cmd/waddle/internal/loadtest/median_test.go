package loadtest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	require.Zero(t, median(nil))
	require.Equal(t, 3., median([]float64{9, 3, 1}))
	require.Equal(t, 2., median([]float64{1, 3, 9, 0}))
}
