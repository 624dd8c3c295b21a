package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The part fairness measures, and the harm is done meanwhile.
func TestFairness(t *testing.T) {
	f, err := runFairness(t.Context(), fairnessEffort{rounds: 2, span: 400 * time.Millisecond})
	require.NoError(t, err)
	require.Positive(t, f.Alone)
	require.Positive(t, f.Beside)
	require.Positive(t, f.Ratio)
	require.Greater(t, f.Requests, 10)
	require.Positive(t, f.Harm.Loops)
	require.Positive(t, f.Harm.Refused)
	require.Positive(t, f.Harm.Crashes)
	require.Positive(t, f.Harm.Files)
}
