package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestContextOfACallOfTheOtherKind: whoever kept the context of a load finds it over while
// the session saves, and takes nothing from the call that is under way.
func TestContextOfACallOfTheOtherKind(t *testing.T) {
	var o operation
	require.True(t, o.take(stateSaving))
	require.ErrorIs(t, o.bound(stateLoading, t.Context(), time.Hour).Err(), over.Err())
	require.ErrorIs(t, o.err(stateLoading, t.Context(), time.Hour), over.Err())
	require.Equal(t, uint32(stateSaving), o.state.Load())
	require.NoError(t, o.err(stateSaving, t.Context(), time.Hour))
	require.NoError(t, o.err(stateSaving, t.Context(), time.Hour))
	o.end()
}
