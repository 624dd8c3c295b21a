package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/abi"
)

// instance is one running guest. It belongs to the holder of its shard's lock.
type instance struct {
	plugin *Plugin
	shard  int
	mod    api.Module
	mem    api.Memory
	memory *linearMemory
	ctx    context.Context // of every call; carries the instance itself
	opened time.Time

	// The functions are looked up once: doing so allocates a stack for each.
	alloc, open, get, set, del, clear, save api.Function
	initialize, describe                    api.Function
	touch, sweep, flush, keys, snapshot     api.Function
	restore, stats                          api.Function
	flushSize                               flushSize
	stack                                   [8]uint64 // parameters and result of a call
	buffer, bufferSize                      uint32    // the exchange buffer
	message                                 []byte    // what the guest said by fail in this call
	deadline                                time.Time // of this call, zero for none
	slept                                   time.Duration
	stdout, stderr                          *stream
	tail                                    tail
}

// newInstance makes an instance and takes it through the steps that come before
// operations. What it returns on failure is a *fault or an answer.
func newInstance(p *Plugin, shard int) (*instance, error) {
	in := &instance{plugin: p, shard: shard, memory: new(linearMemory), opened: p.config.Now()}
	in.stdout = &stream{in: in, level: slog.LevelInfo, name: "stdout"}
	in.stderr = &stream{in: in, level: slog.LevelWarn, name: "stderr"}
	in.ctx = context.WithValue(context.Background(), instanceKey{}, in)
	err := in.instantiate()
	if err == nil {
		err = in.start()
	}
	if err == nil {
		return in, nil
	}
	var f *fault
	if errors.As(err, &f) {
		f.output = in.output()
	}
	in.close()
	return nil, err
}

// output is the end of what the instance wrote.
func (in *instance) output() string { return cleanLines(string(in.tail.b)) }

func (in *instance) instantiate() error {
	ctx := experimental.WithMemoryAllocator(in.ctx, experimental.MemoryAllocatorFunc(
		func(_, most uint64) experimental.LinearMemory {
			in.memory.reserve(most)
			return in.memory
		}))
	config := wazero.NewModuleConfig().
		WithName(""). // anonymous, so that there can be many
		WithStartFunctions().
		WithStdout(in.stdout).WithStderr(in.stderr).
		WithRandSource(random{in}).
		WithSysWalltime().WithSysNanotime().
		WithNanosleep(in.sleep)
	if fs := in.plugin.mounts.config; fs != nil {
		config = config.WithFSConfig(fs)
	}
	err := guarded(func() (err error) {
		in.mod, err = in.plugin.compiled.runtime.InstantiateModule(ctx, in.plugin.compiled.module, config)
		return err
	})
	if err != nil {
		if in.memory.err != nil {
			err = in.memory.err
		}
		return &fault{kind: ErrTrap, message: "instantiation: " + err.Error()}
	}
	in.mem = in.mod.Memory()
	for name, f := range map[string]*api.Function{
		abi.ExportAlloc: &in.alloc, abi.ExportOpen: &in.open, abi.ExportGet: &in.get, abi.ExportSet: &in.set,
		abi.ExportDelete: &in.del, abi.ExportClear: &in.clear, abi.ExportSave: &in.save,
		abi.ExportInitialize: &in.initialize, abi.ExportDescribe: &in.describe, abi.ExportTouch: &in.touch,
		abi.ExportSweep: &in.sweep, abi.ExportFlush: &in.flush, abi.ExportKeys: &in.keys, abi.ExportSnapshot: &in.snapshot,
		abi.ExportRestore: &in.restore, abi.ExportStats: &in.stats,
	} {
		*f = in.mod.ExportedFunction(name) // nil if it is not exported
	}
	return nil
}

// start runs the guest's own initialisation, up to and including session_open.
func (in *instance) start() error {
	limit := in.plugin.openLimit()
	if in.initialize != nil {
		if err := in.run(in.initialize, limit); err != nil {
			return err
		}
	}
	if in.describe != nil {
		if err := in.run(in.describe, limit); err != nil {
			return err
		}
		list, err := in.result(maxDescription)
		switch code, answered := codeOf(err); {
		case answered && code == abi.Unsupported:
		case err != nil:
			return err
		default:
			if err := in.plugin.describe(list); err != nil {
				return err
			}
		}
	}
	if err := in.plugin.admit(); err != nil {
		return err
	}
	pairs := in.plugin.config.pairs(in.shard)
	if err := in.ensure(len(pairs), limit); err != nil {
		return err
	}
	in.mem.Write(in.buffer, pairs)
	in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(pairs))
	if err := in.run(in.open, limit); err != nil {
		return err
	}
	_, err := in.number()
	return err
}

// The smallest exchange buffer takes a config, and a key with a small value;
// the largest takes what a guest can be asked to restore at once.
const (
	minBuffer = 4096
	maxBuffer = maxChunk + pageSize
)

// ensure makes the exchange buffer at least n bytes large. A buffer once had is
// known to lie within the memory, which never shrinks.
func (in *instance) ensure(n int, limit time.Duration) error {
	if uint64(n) <= uint64(in.bufferSize) {
		return nil
	}
	size := uint32(max(n, min(2*int(in.bufferSize), maxBuffer), minBuffer))
	ptr, err := in.callAlloc(size, limit)
	if err == nil && ptr == 0 && size > uint32(n) {
		// It was asked for more than it needs to take.
		size = uint32(n)
		ptr, err = in.callAlloc(size, limit)
	}
	if err != nil {
		return err
	}
	if ptr == 0 {
		return &answer{code: abi.NoSpace, message: fmt.Sprintf("the guest has no room for a buffer of %d bytes", size), noBuffer: true}
	}
	if uint64(ptr)+uint64(size) > uint64(in.mem.Size()) {
		return &fault{kind: ErrMemory, message: fmt.Sprintf("%s(%d) gave 0x%08x, and the memory has %d bytes",
			abi.ExportAlloc, size, ptr, in.mem.Size())}
	}
	in.buffer, in.bufferSize = ptr, size
	return nil
}

// callAlloc asks for a buffer. There is none from then on but what it returns.
func (in *instance) callAlloc(size uint32, limit time.Duration) (ptr uint32, err error) {
	in.buffer, in.bufferSize = 0, 0
	in.stack[0] = uint64(size)
	err = in.run(in.alloc, limit)
	return uint32(in.stack[0]), err
}

// put writes a key, and a value behind it, into the exchange buffer.
func (in *instance) put(key, value []byte, limit time.Duration) error {
	if err := in.ensure(len(key)+len(value), limit); err != nil {
		return err
	}
	in.mem.Write(in.buffer, key)
	if len(value) > 0 {
		in.mem.Write(in.buffer+uint32(len(key)), value)
	}
	return nil
}

// number returns the result of the call before as a number, or the code as an
// error.
func (in *instance) number() (int64, error) {
	r := int64(in.stack[0])
	if r < 0 {
		return 0, in.answer(r)
	}
	return r, nil
}

// result returns the region of the call before, which stays valid until the
// next call, or the code as an error.
func (in *instance) result(most uint32) ([]byte, error) {
	r, err := in.number()
	if err != nil {
		return nil, err
	}
	ptr, length := abi.Unpack(r)
	if length == 0 {
		return nil, nil
	}
	if length > most {
		return nil, &fault{kind: ErrProtocol, message: fmt.Sprintf("a result of %d bytes, and the most is %d", length, most)}
	}
	b, ok := in.mem.Read(ptr, length)
	if !ok {
		return nil, &fault{kind: ErrMemory, message: fmt.Sprintf("a result of %d bytes at 0x%08x, and the memory has %d bytes",
			length, ptr, in.mem.Size())}
	}
	return b, nil
}

// answer makes the error of a negative result. The two codes that are part of
// everyday work cost nothing.
func (in *instance) answer(r int64) error {
	code := abi.Code(r)
	if code < abi.Internal {
		code = abi.Internal
	}
	switch {
	case code == abi.NotFound:
		return errNotFound
	case code == abi.Conflict && len(in.message) == 0:
		return errConflict
	}
	return &answer{code: code, message: clean(string(in.message))}
}

// close gives everything back. The instance may have failed at any point.
func (in *instance) close() {
	if in.mod != nil {
		_ = in.mod.Close(context.Background()) // closes nothing that could fail
	}
	in.stdout.flush()
	in.stderr.flush()
	if err := in.memory.release(); err != nil {
		in.plugin.config.Logger.Error("memory of an instance was not given back", "plugin", in.plugin.config.Name, "error", err)
	}
}
