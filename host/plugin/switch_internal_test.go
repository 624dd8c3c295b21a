package plugin

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
	"github.com/waddle-sessions/waddle/host/store"
)

// Memories can be changed here with every runtime.
func TestMemoriesCanBeChanged(t *testing.T) {
	if bestRuntime() == runtimeCompiler {
		require.NoError(t, switches(runtimeCompiler))
	}
	require.NoError(t, switches(runtimeInterpreter))
}

// stubborn is a memory of wazero's as it might be in another version.
type stubborn struct {
	api.Memory
	grow func(m api.Memory, slot *slot) (uint32, bool)
	slot *slot
}

func (s stubborn) Grow(uint32) (uint32, bool) { return s.grow(s.Memory, s.slot) }

// An executor that does not take the memory that it is given runs nobody: it is thrown away, and
// another is made. If none does, the call fails, and its guest keeps what it has.
func TestAnExecutorThatKeepsItsMemory(t *testing.T) {
	if err := image.Available(); err != nil {
		t.Skip(err)
	}
	wasm, err := os.ReadFile("testdata/store.wasm")
	require.NoError(t, err)
	ctx := context.Background()
	other := make([]byte, 20*pageSize)
	for name, grow := range map[string]func(api.Memory, *slot) (uint32, bool){
		"does not grow": func(api.Memory, *slot) (uint32, bool) { return 0, false },
		"does not ask":  func(api.Memory, *slot) (uint32, bool) { return 1, true },
		"takes another": func(m api.Memory, s *slot) (uint32, bool) { s.next = other; return m.Grow(1) },
		"takes too much": func(m api.Memory, s *slot) (uint32, bool) {
			s.next = append(s.next[:len(s.next):len(s.next)], 0)
			return m.Grow(1)
		},
		"asks later": func(m api.Memory, s *slot) (uint32, bool) {
			next := s.next
			r, ok := m.Grow(1)
			s.next = next
			return r, ok
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHost(HostConfig{})
			defer h.Close(ctx)
			var all [2]*Plugin
			get := func(i int) error {
				got, err := all[i].Get(ctx, []byte("key"), 1)
				if err == nil {
					require.Equal(t, []byte{1, 0, 0, 0, 0, 0, 0, 0, byte(i)}, got)
				}
				return err
			}
			for i := range all {
				all[i], err = Open(ctx, wasm, Config{Host: h, Shared: true, NoCache: true, Trusted: true, SweepInterval: -1, Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				require.NoError(t, all[i].Set(ctx, store.Write{Key: []byte("key"), Value: []byte{1, 0, 0, 0, 0, 0, 0, 0, byte(i)}, Now: 1}))
			}
			p := all[0].machine.pool
			spoil := func() {
				for _, ex := range p.all {
					ex.memory = stubborn{ex.memory, grow, ex.slot}
				}
			}
			spoil()
			require.NoError(t, get(0))
			require.Len(t, p.all, 1, "a new one")
			require.NoError(t, get(1))
			spoil()
			require.NoError(t, all[1].Sleep(ctx), "its executor cannot be left")
			require.NoError(t, get(0))
			require.NoError(t, get(1))

			// None does.
			p.most = 1
			spoil()
			p.made = func(ex *executor) { ex.memory = stubborn{ex.memory, grow, ex.slot} }
			err := get(0)
			require.ErrorIs(t, err, store.ErrUnavailable)
			require.ErrorContains(t, err, "no executor took the guest's memory")
			p.made = nil
			for i := range all {
				require.NoError(t, get(i))
				require.Zero(t, all[i].Stats().Restarts)
			}
		})
	}
}
