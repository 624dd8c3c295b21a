package plugin

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// executor is what runs the code of a guest: an instance of wazero's. A guest has one of
// its own, or takes turns with others.
type executor struct {
	mod    api.Module
	memory api.Memory

	// entry calls any export by its number. Each function that is looked up has a
	// stack of its own, so it is the only one.
	entry api.Function

	left, depth api.MutableGlobal // of the meter; nil for a trusted guest

	inst *instance // the guest that is on it

	// Of one that guests take turns on. The holder of the pool's lock gives it to another
	// guest while it is busy, which it is for a call.
	slot    *slot
	globals []api.MutableGlobal // of the module, that are part of a guest's state
	seat    *seat               // nil for none
	busy    atomic.Bool
	charge  charge // for what the host keeps for it

	_ [40]byte // so that no two executors share a cache line
}

// newExecutor makes an executor for guests of a machine. Nothing has been called on it. The
// guest, if it is known already, is the one that it is for. reserve returns the memory, which may
// have most bytes.
func newExecutor(m *machine, inst *instance, reserve func(most uint64) experimental.LinearMemory) (*executor, error) {
	ex := &executor{inst: inst}
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(
		func(_, most uint64) experimental.LinearMemory { return reserve(most) }))
	config := m.granted.attach(ex, m.config)
	err := guarded(func() (err error) {
		ex.mod, err = m.compiled.runtime.InstantiateModule(ctx, m.compiled.module, config)
		return err
	})
	if err != nil {
		return nil, err
	}
	ex.memory = ex.mod.Memory()
	ex.renew()
	if m.meters != nil {
		ex.left = ex.mod.ExportedGlobal(rewrite.FuelExport).(api.MutableGlobal)
		ex.depth = ex.mod.ExportedGlobal(rewrite.DepthExport).(api.MutableGlobal)
		ex.depth.Set(shallow)
	}
	return ex, nil
}

// renew leaves the stack, which stays as large as it ever was, behind.
func (ex *executor) renew() { ex.entry = ex.mod.ExportedFunction(rewrite.EntryExport) }

func (ex *executor) close() {
	_ = ex.mod.Close(context.Background()) // nothing in it can fail
	if ex.charge.budget != nil {
		ex.charge.budget.give(ex.charge.n)
	}
}

// notStarted is the fault of an executor that could not be made, or of its memory.
func notStarted(err error) *protocol.Fault {
	if errors.Is(err, ErrBudget) {
		r := refusalOf(err)
		return &protocol.Fault{Kind: ErrBudget, Limit: r.limit, Allowed: r.allowed, Used: r.used, Message: spentOf(err)}
	}
	return &protocol.Fault{Kind: ErrTrap, Message: "instantiation: " + err.Error()}
}

// output is a standard stream of an executor. What is written to it is the guest's that is
// in the call.
type output struct {
	ex  *executor
	err bool
}

// Write implements io.Writer.
func (o output) Write(p []byte) (int, error) {
	if o.err {
		return o.ex.inst.stderr.Write(p)
	}
	return o.ex.inst.stdout.Write(p)
}

// withOutput gives an executor its standard streams.
func withOutput(ex *executor, c wazero.ModuleConfig) wazero.ModuleConfig {
	return c.WithStdout(output{ex, false}).WithStderr(output{ex, true})
}
