package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/plugin/internal/fair"
	"github.com/waddle-sessions/waddle/host/store"
)

// machine is what all instances of a plugin share.
type machine struct {
	compiled *compiled
	exports  exports             // of the guest
	granted  permissions         // what the plugin may do, whoever else runs the same code
	config   wazero.ModuleConfig // what instances have in common
	files    wazero.FSConfig     // nil for none
	log      *guestLog
	debug    bool // wazero reads the debug sections

	// meters is nil for a trusted guest. allowed bounds the call of an operation, and
	// openAllowed each call that opens an instance.
	meters      *meters
	allowed     atomic.Pointer[bounds]
	openAllowed bounds

	limits      limitCounts
	flow        *fair.Flow // its share of the processor
	budgets     *budgets   // of the host
	memoryLimit uint64     // of one instance
}

// prepare makes the config of instances, after the files.
func (m *machine) prepare() {
	m.config = m.granted.prepare(m, wazero.NewModuleConfig().
		WithName(""). // anonymous, so that there can be many
		WithStartFunctions())
}

func (m *machine) callAllowed() bounds {
	if m.meters == nil {
		return bounds{}
	}
	return *m.allowed.Load()
}

// instance is one running guest: the [protocol.Instance] that wazero runs.
type instance struct {
	machine *machine
	shard   int
	mod     api.Module
	mem     api.Memory
	memory  linearMemory
	ctx     context.Context // of every call; carries the instance itself

	// entry calls any export by its number. Each function that is looked up has a
	// stack of its own, so it is the only one.
	entry api.Function
	stack [1 + maxParams]uint64 // of a call: the export's number and its parameters, then its result

	buffer, bufferSize uint32 // the exchange buffer
	message            []byte // what the guest said by fail in this call
	meter              *meter // nil for a trusted guest
	turn               *fair.Call
	slept              time.Duration
	stdout, stderr     stream
	tail               tail
}

var _ protocol.Instance = (*instance)(nil)

// newInstance makes an instance on which nothing has been called yet.
func newInstance(m *machine, shard int) (protocol.Instance, error) {
	inst := &instance{machine: m, shard: shard, turn: m.flow.Call(), memory: linearMemory{account: account{m.budgets, &m.limits}}}
	inst.stdout = stream{inst: inst, level: slog.LevelInfo, name: "stdout"}
	inst.stderr = stream{inst: inst, level: slog.LevelWarn, name: "stderr"}
	inst.ctx = context.WithValue(context.Background(), instanceKey{}, inst)
	if err := heavy(m.flow, inst.instantiate); err != nil {
		inst.Close()
		return nil, err
	}
	return inst, nil
}

// Output implements protocol.Instance.
func (inst *instance) Output() string { return printable.CleanLines(string(inst.tail.b)) }

// Memory implements protocol.Instance.
func (inst *instance) Memory() int64 { return int64(inst.mem.Size()) }

// Fuel implements protocol.Instance.
func (inst *instance) Fuel() uint64 {
	if inst.meter == nil {
		return 0
	}
	return inst.meter.used
}

func (inst *instance) instantiate() error {
	ctx := experimental.WithMemoryAllocator(inst.ctx, experimental.MemoryAllocatorFunc(
		func(_, most uint64) experimental.LinearMemory {
			inst.memory.reserve(min(most, inst.machine.memoryLimit))
			return &inst.memory
		}))
	config := inst.machine.granted.attach(inst, inst.machine.config)
	err := guarded(func() (err error) {
		inst.mod, err = inst.machine.compiled.runtime.InstantiateModule(ctx, inst.machine.compiled.module, config)
		return err
	})
	if err != nil {
		if inst.memory.err != nil {
			err = inst.memory.err
		}
		if errors.Is(err, ErrBudget) {
			r := refusalOf(err)
			return &protocol.Fault{Kind: ErrBudget, Limit: r.limit, Allowed: r.allowed, Used: r.used, Message: spentOf(err)}
		}
		return &protocol.Fault{Kind: ErrTrap, Message: "instantiation: " + err.Error(), Output: inst.Output()}
	}
	inst.mem = inst.mod.Memory()
	inst.entry = inst.mod.ExportedFunction(rewrite.EntryExport)
	if inst.machine.meters != nil {
		inst.meter = newMeter(inst.mod, inst.machine.meters, inst.shard, inst.turn)
	}
	return nil
}

// The smallest exchange buffer has room for a config, or for a key with a small value.
// The largest has room for the largest list that a guest restores at once.
const (
	minBuffer = 4096
	maxBuffer = maxChunk + pageSize
	// maxChunk is the largest chunk of an enumeration. It exceeds the contract's by
	// the room that the largest record needs.
	maxChunk = abi.MaxValue + pageSize
)

// ensure makes the exchange buffer at least n bytes large. It checks a buffer once,
// when it gets it: the memory never shrinks.
func (inst *instance) ensure(n int, allowed bounds) error {
	if uint64(n) <= uint64(inst.bufferSize) {
		return nil
	}
	size := uint32(max(n, min(2*int(inst.bufferSize), maxBuffer), minBuffer))
	ptr, err := inst.callAlloc(size, allowed)
	if err == nil && ptr == 0 && size > uint32(n) {
		// That was more than the call needs.
		size = uint32(n)
		ptr, err = inst.callAlloc(size, allowed)
	}
	if err != nil {
		return err
	}
	if ptr == 0 {
		return &protocol.Answer{Code: abi.NoSpace, Message: fmt.Sprintf("the guest has no room for a buffer of %d bytes", size), NoBuffer: true}
	}
	if uint64(ptr)+uint64(size) > uint64(inst.mem.Size()) {
		return &protocol.Fault{Kind: ErrMemory, Message: fmt.Sprintf("%s(%d) returned 0x%08x: must be a region within the memory, which has %d bytes",
			abi.ExportAlloc, size, ptr, inst.mem.Size())}
	}
	inst.buffer, inst.bufferSize = ptr, size
	return nil
}

// callAlloc asks the guest for a buffer. Doing so invalidates the previous one.
func (inst *instance) callAlloc(size uint32, allowed bounds) (ptr uint32, err error) {
	inst.buffer, inst.bufferSize = 0, 0
	inst.stack[0], inst.stack[1] = exportAlloc, uint64(size)
	err = inst.run(allowed)
	return uint32(inst.stack[0]), err
}

// put writes a key, followed by a value, into the exchange buffer.
func (inst *instance) put(key, value []byte, allowed bounds) error {
	if err := inst.ensure(len(key)+len(value), allowed); err != nil {
		return err
	}
	inst.mem.Write(inst.buffer, key)
	if len(value) > 0 {
		inst.mem.Write(inst.buffer+uint32(len(key)), value)
	}
	return nil
}

// number returns the result of the last call as a number. A code becomes an error.
func (inst *instance) number() (int64, error) {
	r := int64(inst.stack[0])
	if r < 0 {
		return 0, inst.answer(r)
	}
	return r, nil
}

// result returns the region that the last call returned. It stays valid until the next
// call. A code becomes an error.
func (inst *instance) result(most uint32) ([]byte, error) {
	r, err := inst.number()
	if err != nil {
		return nil, err
	}
	ptr, length := abi.Unpack(r)
	if length == 0 {
		return nil, nil
	}
	if length > most {
		inst.machine.limits.count(LimitResult)
		fault := protocol.Broken("a result of %d bytes: must be at most %d", length, most)
		fault.Limit, fault.Allowed, fault.Used = LimitResult, int64(most), int64(length)
		return nil, fault
	}
	b, ok := inst.mem.Read(ptr, length)
	if !ok {
		return nil, &protocol.Fault{Kind: ErrMemory, Message: fmt.Sprintf("a result of %d bytes at 0x%08x: must lie within the memory, which has %d bytes",
			length, ptr, inst.mem.Size())}
	}
	return b, nil
}

// answer returns the error of a negative result.
func (inst *instance) answer(r int64) error {
	if abi.Code(r) == abi.NotFound {
		return store.ErrNotFound // the most frequent one
	}
	if len(inst.message) == 0 {
		return protocol.AnswerOf(abi.Code(r), "")
	}
	return protocol.AnswerOf(abi.Code(r), printable.Clean(string(inst.message)))
}

// Close implements protocol.Instance.
func (inst *instance) Close() {
	if inst.meter != nil {
		inst.meter.settle()
	}
	if inst.mod != nil {
		_ = inst.mod.Close(context.Background()) // nothing in it can fail
	}
	inst.stdout.flush()
	inst.stderr.flush()
	if err := inst.memory.release(); err != nil {
		inst.machine.log.logger.Error("the memory of an instance was not released", "plugin", inst.machine.log.name(), "error", err)
	}
}
