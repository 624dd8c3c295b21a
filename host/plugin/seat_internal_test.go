package plugin

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/moduletest"
)

// A guest that was just opened shares most of what opening has written with the others of
// its module.
func TestOpenedGuestsShareWhatTheyAreOpenedTo(t *testing.T) {
	const engine = "host/engines/memory/memory.wasm.gz"
	host := NewHost(HostConfig{})
	defer host.Close(context.Background())
	module, err := host.Compile(context.Background(), moduletest.Read(t, "../..", engine)[engine], Config{Trusted: true})
	require.NoError(t, err)
	defer module.Close()
	p, err := module.Open(context.Background(), Config{Trusted: true, Shared: true, SweepInterval: -1})
	require.NoError(t, err)
	if why := p.Info().NotShared; why != "" {
		t.Skip(why)
	}
	_, err = p.description()
	require.NoError(t, err)
	s := p.machine.pool.seats.uses.first
	require.NotSame(t, s.pool.base.begun, s.pool.base.opened)
	own := s.room.count()

	alone := seatMemory{limit: s.room.limit}
	require.NoError(t, alone.begin(s.pool.base.begun))
	defer alone.release()
	copy(alone.Reallocate(s.room.size), s.room.view)
	scratch := new(scratch)
	delta, err := alone.mem.Delta(alone.size, s.pool.base.begun, &scratch.pages, nil)
	require.NoError(t, err)
	require.NoError(t, alone.mem.Reset(s.pool.base.begun))
	require.NoError(t, alone.mem.Apply(delta))
	require.Equal(t, s.room.view, alone.view)
	require.Less(t, 2*own, alone.count(), "bytes of its own, twice, and those without the other image")
}
