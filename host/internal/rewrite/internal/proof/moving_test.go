package proof_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/modgen"
)

// movingPages is one page more than any memory may have, so that a host's own Grow gets
// through.
const movingPages = modgen.MaxPages + 1

// mover is the memory of an instance that gets the state of others.
type mover struct {
	mod    api.Module
	memory []byte
	most   uint64 // bytes, which the guest does not get beyond
	next   []byte // takes the place of the memory with the next Grow
}

func (m *mover) Allocate(_, _ uint64) experimental.LinearMemory { return m }
func (m *mover) Free()                                          {}

func (m *mover) Reallocate(size uint64) []byte {
	switch {
	case m.next != nil:
		m.memory, m.next = m.next, nil
	case size > m.most:
		return nil
	default:
		m.memory = append(m.memory, make([]byte, int(size)-len(m.memory))...)
	}
	return m.memory
}

// moving are two instances of a module. Each call runs on the other one than the call
// before it, with the state that that has left.
type moving struct {
	t      testing.TB
	report *rewrite.Report
	pair   [2]*mover
	now    int
}

// newMoving makes the second instance, and then the first, whose start function may do
// what can be seen.
func (x *machine) newMoving(ctx context.Context) (*moving, error) {
	v := &moving{t: x.t, report: x.moves}
	for i := range v.pair {
		x.host = imported{}
		m := &mover{most: uint64(min(x.moves.MaxMemory, modgen.MaxPages)) << 16}
		mod, err := x.runtime.InstantiateModule(experimental.WithMemoryAllocator(ctx, m), x.code,
			wazero.NewModuleConfig().WithName("").WithStartFunctions())
		if err != nil {
			return nil, err
		}
		m.mod, v.pair[i] = mod, m
	}
	v.now = 1
	return v, nil
}

// turn moves the state to the other instance, and returns that.
func (v *moving) turn() api.Module {
	from, to := v.pair[v.now], v.pair[1-v.now]
	to.next = append([]byte{}, from.memory...) // not nil, however small
	_, ok := to.mod.Memory().Grow(1)
	require.True(v.t, ok)
	require.EqualValues(v.t, len(from.memory), to.mod.Memory().Size())
	for _, index := range v.report.Movable {
		name := rewrite.GlobalExport(index)
		to.mod.ExportedGlobal(name).(api.MutableGlobal).Set(from.mod.ExportedGlobal(name).Get())
	}
	// What stays behind must not count.
	clear(from.memory)
	for _, index := range v.report.Movable {
		from.mod.ExportedGlobal(rewrite.GlobalExport(index)).(api.MutableGlobal).Set(0x5555)
	}
	v.now = 1 - v.now
	return to.mod
}

// move runs a module whose state moves between two instances before each call.
func (n *counts) move(t testing.TB, m modgen.Module, want outcome, endless bool, salt uint64, say func(string) string) {
	t.Helper()
	o := rewrite.Options{Movable: true, Meter: salt%3 != 0, MergeData: salt%2 == 0}
	wasm, report := rewritten(t, m.Wasm, o)
	if report.Fixed != "" {
		n.fixed++
		o.Movable = false
		without, _ := rewritten(t, m.Wasm, o)
		require.Equal(t, hash(without), hash(wasm), say("as without the option: "+report.Fixed))
		return
	}
	if endless {
		return
	}
	n.moved++
	n.movedGlobals += len(report.Movable)
	for engine := range engines {
		what := say(fmt.Sprintf("%s, moved, %+v", engine, o))
		x := newMachine(t, engine, m, wasm, report)
		defer x.close()
		if !o.Meter {
			require.Equal(t, want.unmetered(), x.run(nil).unmetered(), what)
			continue
		}
		count := &meter{budget: 2 * mostFuel, slice: 100, depth: plenty}
		got := x.run(count).again()
		require.NoError(t, count.fault, what)
		require.Equal(t, want.metered(got), got.metered(got), what)
		balanced(t, got, plenty, what)
	}
}
