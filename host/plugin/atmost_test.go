package plugin_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestValuesThatAreTooLargeStayInTheGuest: too large values cost the host no memory,
// and are no fault of the guest.
func TestValuesThatAreTooLargeStayInTheGuest(t *testing.T) {
	const size = 7000
	p := open(t, guest(t, "store"), quiet())
	require.NoError(t, p.Set(ctx, store.Write{Key: []byte("k"), Value: make([]byte, size), Now: 1}))
	got, err := p.GetInto(ctx, []byte("k"), 1, nil, size)
	require.NoError(t, err)
	require.Len(t, got, size)
	into := make([]byte, size)
	got, err = p.GetInto(ctx, []byte("k"), 1, into, size)
	require.NoError(t, err)
	require.Same(t, &into[0], &got[0])
	_, err = p.GetInto(ctx, []byte("k"), 1, nil, size-1)
	require.ErrorIs(t, err, store.ErrOversized)
	require.ErrorContains(t, err, "7000 bytes")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 1000
	for range times {
		if _, err := p.GetInto(ctx, []byte("k"), 1, nil, size-1); !errors.Is(err, store.ErrOversized) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(times*size/4))
	require.Zero(t, p.Stats().Restarts)
}
