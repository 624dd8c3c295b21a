package plugin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// An executor becomes another guest's between two calls: wazero asks the slot, which it
// takes for the allocator of a memory that grows, for more, and gets the memory of that guest.
// It promises nothing of the kind, so switches says whether it works in this process,
// and each switch is checked.

// slot is the memory of an executor that guests share: that of the guest on it.
type slot struct {
	next  []byte // for a switch that is under way
	grows guestMemory
}

// Reallocate implements experimental.LinearMemory.
func (s *slot) Reallocate(size uint64) []byte {
	if next := s.next; next != nil {
		s.next = nil
		return next
	}
	return s.grows.Reallocate(size)
}

// Free implements experimental.LinearMemory. The memory belongs to the guest.
func (s *slot) Free() {}

// parked is the memory of an executor without a guest. Nothing uses it.
var parked = make([]byte, pageSize)

// newSharedExecutor makes an executor that guests of a machine's module can take turns on. No
// guest is on it.
func newSharedExecutor(m *machine) (*executor, error) {
	a := account{m.budgets, &m.limits}
	beside := charge{m.budgets.memory, m.compiled.beside}
	if err := a.charge(beside.budget, beside.n); err != nil {
		return nil, err
	}
	// The module's data is written to a memory that nobody gets.
	memory := &linearMemory{account: a}
	defer memory.release()
	s := &slot{grows: memory}
	ex, err := newExecutor(m, nil, func(uint64) experimental.LinearMemory {
		memory.reserve(uint64(m.compiled.memory) * pageSize)
		return s
	})
	if err == nil {
		ex.slot, ex.globals = s, movable(ex.mod, m.compiled.movable)
		if !ex.become(parked) {
			ex.close()
			err = errNotSwitched
		}
	}
	if err != nil {
		beside.budget.give(beside.n)
		if memory.err != nil {
			err = memory.err
		}
		return nil, fmt.Errorf("making an executor: %w", err)
	}
	ex.charge = beside
	return ex, nil
}

// movable returns the globals that are part of a guest's state.
func movable(mod api.Module, indices []uint32) []api.MutableGlobal {
	all := make([]api.MutableGlobal, len(indices))
	for i, index := range indices {
		all[i] = mod.ExportedGlobal(rewrite.GlobalExport(index)).(api.MutableGlobal)
	}
	return all
}

// become makes a memory, which has a page at least, that of the executor. If it fails
// the executor must not be used.
func (ex *executor) become(memory []byte) bool {
	ex.slot.next = memory
	_, ok := ex.memory.Grow(1)
	if !ok || ex.slot.next != nil {
		return false
	}
	now, ok := ex.memory.Read(0, ex.memory.Size())
	return ok && len(now) == len(memory) && &now[0] == &memory[0]
}

// save takes over the globals of the guest on the executor, which is in no call.
func (ex *executor) save() {
	if s := ex.seat; s != nil {
		for i, g := range ex.globals {
			s.globals[i] = g.Get()
		}
	}
}

var errNotSwitched = errors.New("wazero did not take the memory that it was given")

// switches returns why executors cannot be given to another guest in this process, or nil.
// It is found out once for each kind of runtime, by trying.
func switches(kind runtimeKind) error { return switchesWith[kind]() }

var switchesWith = [...]func() error{
	runtimeCompiler:    sync.OnceValue(func() error { return trySwitch(runtimeCompiler) }),
	runtimeInterpreter: sync.OnceValue(func() error { return trySwitch(runtimeInterpreter) }),
}

// switchProbe is
//
//	(module
//	  (memory (export "m") 1)
//	  (global (export "g") (mut i64) (i64.const 5))
//	  (func (export "f") (param i32) (result i64)
//	    (global.set 0 (i64.add (global.get 0) (i64.load (local.get 0))))
//	    (i64.store (local.get 0) (global.get 0))
//	    (i64.add (global.get 0) (i64.extend_i32_u (memory.size)))))
const switchProbe = "\x00asm\x01\x00\x00\x00" +
	"\x01\x06\x01\x60\x01\x7f\x01\x7e" +
	"\x03\x02\x01\x00" +
	"\x05\x03\x01\x00\x01" +
	"\x06\x06\x01\x7e\x01\x42\x05\x0b" +
	"\x07\x0d\x03\x01m\x02\x00\x01g\x03\x00\x01f\x00\x00" +
	"\x0a\x1b\x01\x19\x00" +
	"\x23\x00\x20\x00\x29\x03\x00\x7c\x24\x00" +
	"\x20\x00\x23\x00\x37\x03\x00" +
	"\x23\x00\x3f\x00\xad\x7c\x0b"

// trySwitch lets two memories of different sizes take turns on an instance, and looks whether
// each turn goes on with what the last one of that memory left.
func trySwitch(kind runtimeKind) error {
	err := guarded(func() error {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(kind))
		defer r.Close(ctx)
		s := &slot{next: make([]byte, pageSize)}
		mod, err := r.Instantiate(experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(
			func(_, _ uint64) experimental.LinearMemory { return s })), []byte(switchProbe))
		if err != nil {
			return err
		}
		ex := &executor{mod: mod, memory: mod.Memory(), slot: s}
		f, g := mod.ExportedFunction("f"), mod.ExportedGlobal("g").(api.MutableGlobal)
		guests := [...]struct{ pages, at, sum, stored uint64 }{{3, 2*pageSize + 8, 100, 1}, {1, pageSize - 8, 7, 2}}
		var memories [len(guests)][]byte
		for i, u := range guests {
			memories[i] = make([]byte, u.pages*pageSize)
			binary.LittleEndian.PutUint64(memories[i][u.at:], u.stored)
		}
		for range 3 {
			for i := range guests {
				u := &guests[i]
				if !ex.become(memories[i]) {
					return errNotSwitched
				}
				g.Set(u.sum)
				u.sum += u.stored
				u.stored = u.sum
				got, err := f.Call(ctx, u.at)
				if err != nil {
					return err
				}
				if got[0] != u.sum+u.pages || g.Get() != u.sum || binary.LittleEndian.Uint64(memories[i][u.at:]) != u.stored {
					return errNotSwitched
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("it was tried: %w", err)
	}
	return nil
}
