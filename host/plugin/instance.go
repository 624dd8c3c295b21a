package plugin

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
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

	network *guestNetwork // nil for none

	limits      limitCounts
	flow        *fair.Flow // its share of the processor
	budgets     *budgets   // of the host
	memoryLimit uint64     // of one instance

	// Of a plugin whose guests take turns on executors; nil for another's.
	pool *pool
	doze func(shard int)           // puts the guest of a shard to sleep if nobody uses it
	idle func(shard int, f func()) // calls f in between its calls if nobody uses it
}

// prepare makes the config of instances, after the files.
func (m *machine) prepare() {
	m.config = m.granted.prepare(m, wazero.NewModuleConfig().
		WithName(""). // anonymous, so that there can be many
		WithStartFunctions())
}

// callAllowed returns what bounds the call of an operation, which a trusted guest has no use for.
func (m *machine) callAllowed() *bounds { return m.allowed.Load() }

// instance is one guest: a [protocol.Instance] that wazero runs.
type instance struct {
	machine *machine
	shard   int
	on      *executor // that runs it; of a seat, the last one
	seat    *seat     // nil for a guest with an executor of its own

	memory guestMemory
	extent *extent // of memory
	within callContext

	stack [1 + maxParams]uint64 // of a call: the export's number and its parameters, then its result

	buffer, bufferSize uint32 // the exchange buffer
	message            []byte // what the guest said by fail in this call
	meter              *meter // nil for a trusted guest
	turn               *fair.Call
	register           protocol.Register
	operations         int // of a call for several, else 0
	slept              time.Duration
	conns              *connections // nil if it is granted no network
	stdout, stderr     stream
	tail               tail
}

var (
	_ protocol.Instance   = (*instance)(nil)
	_ protocol.Registered = (*instance)(nil)
	_ protocol.Batcher    = (*instance)(nil)
)

// guestMemory is what the linear memory of a guest lies in.
type guestMemory interface {
	experimental.LinearMemory
	reach() *extent
	release() error
}

// extent is how far a guest's memory goes. Each call reads it, so it lies where no function has
// to be called for it.
type extent struct {
	view []byte // all that the guest has
	err  error  // why it did not grow in this call, or nil
}

func (e *extent) reach() *extent { return e }

// prepare makes an instance what every guest of a plugin is at first.
func (inst *instance) prepare(m *machine, shard int) {
	inst.machine, inst.shard, inst.turn = m, shard, m.flow.Call()
	inst.stdout = stream{inst: inst, level: slog.LevelInfo, name: "stdout"}
	inst.stderr = stream{inst: inst, level: slog.LevelWarn, name: "stderr"}
	inst.within = callContext{context.Background(), inst}
	if m.meters != nil {
		inst.meter = newMeter(m.meters, shard, inst.turn, &inst.register.Fuel)
	}
	if m.network != nil {
		inst.conns = newConnections(inst, m.network)
	}
}

// newInstance makes an instance with an executor of its own. Nothing has been called on it
// yet.
func newInstance(m *machine, shard int) (*instance, error) {
	inst, memory := new(instance), &linearMemory{account: account{m.budgets, &m.limits}}
	inst.prepare(m, shard)
	inst.liesIn(memory)
	err := heavy(m.flow, func() (err error) {
		inst.on, err = newExecutor(m, inst, func(most uint64) experimental.LinearMemory {
			if m.compiled.maxMemory > 0 { // which the module does not declare any more
				most = min(most, uint64(m.compiled.maxMemory)*pageSize)
			}
			memory.reserve(min(most, m.memoryLimit))
			return memory
		})
		return err
	})
	if err != nil {
		inst.Close()
		return nil, notStarted(cmp.Or(memory.err, err))
	}
	inst.meterOn(inst.on)
	return inst, nil
}

// liesIn gives an instance its memory.
func (inst *instance) liesIn(memory guestMemory) { inst.memory, inst.extent = memory, memory.reach() }

// meterOn makes the meter count on an executor.
func (inst *instance) meterOn(ex *executor) {
	if inst.meter != nil {
		inst.meter.moves(ex.left, ex.depth)
	}
}

// Output implements protocol.Instance.
func (inst *instance) Output() string { return printable.CleanLines(string(inst.tail.b)) }

// Memory implements protocol.Instance.
func (inst *instance) Memory() int64 { return int64(len(inst.extent.view)) }

// Fuel implements protocol.Instance. It makes what was used known to all who ask.
func (inst *instance) Fuel() uint64 {
	if inst.meter != nil {
		inst.meter.settle()
	}
	return inst.register.Fuel
}

// Register implements protocol.Registered.
func (inst *instance) Register() *protocol.Register { return &inst.register }

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
func (inst *instance) ensure(n int, allowed *bounds) error {
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
	if uint64(ptr)+uint64(size) > uint64(len(inst.extent.view)) {
		return &protocol.Fault{Kind: ErrMemory, Message: fmt.Sprintf("%s(%d) returned 0x%08x: must be a region within the memory, which has %d bytes",
			abi.ExportAlloc, size, ptr, len(inst.extent.view))}
	}
	inst.buffer, inst.bufferSize = ptr, size
	return nil
}

// callAlloc asks the guest for a buffer. Doing so invalidates the previous one.
func (inst *instance) callAlloc(size uint32, allowed *bounds) (ptr uint32, err error) {
	inst.buffer, inst.bufferSize = 0, 0
	inst.stack[0], inst.stack[1] = exportAlloc, uint64(size)
	err = inst.run(allowed)
	return uint32(inst.stack[0]), err
}

// put writes a key, followed by a value, into the exchange buffer.
func (inst *instance) put(key, value []byte, allowed *bounds) error {
	if n := len(key) + len(value); uint64(n) > uint64(inst.bufferSize) {
		if err := inst.ensure(n, allowed); err != nil {
			return err
		}
	}
	buffer := inst.extent.view[inst.buffer:]
	copy(buffer[copy(buffer, key):], value)
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
	memory, end := inst.extent.view, uint64(ptr)+uint64(length)
	if end > uint64(len(memory)) {
		return nil, &protocol.Fault{Kind: ErrMemory, Message: fmt.Sprintf("a result of %d bytes at 0x%08x: must lie within the memory, which has %d bytes",
			length, ptr, len(memory))}
	}
	return memory[ptr:end:end], nil
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
	if inst.on != nil {
		inst.on.close()
	}
	inst.end()
}

// end gives everything back, once nothing runs the guest.
func (inst *instance) end() {
	if inst.conns != nil {
		inst.conns.Table.Close()
	}
	if inst.meter != nil {
		inst.meter.settle()
	}
	inst.stdout.flush()
	inst.stderr.flush()
	if err := inst.memory.release(); err != nil {
		inst.machine.log.logger.Error("the memory of an instance was not released", "plugin", inst.machine.log.name(), "error", err)
	}
}
