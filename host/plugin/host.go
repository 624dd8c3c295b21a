package plugin

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Faults that a function of the host finds. It panics with them, which wazero
// turns into a trap, and the runner tells them from the guest's own traps.
var (
	errOverrun    = errors.New("the deadline passed within a function of the host")
	errBadPointer = errors.New("a region outside of the memory was given to a function of the host")
)

// instanceKey finds the instance in the context of a call. The context with it
// is made once for each instance.
type instanceKey struct{}

func instanceOf(ctx context.Context) *instance { return ctx.Value(instanceKey{}).(*instance) }

// waddleModule makes the functions of module waddle_v1, in the order of the
// specification.
func waddleModule(r wazero.Runtime) wazero.HostModuleBuilder {
	const i32 = api.ValueTypeI32
	return r.NewHostModuleBuilder(abi.ModuleName).
		NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(hostLog), []api.ValueType{i32, i32, i32}, nil).
		Export(abi.ImportLog).
		NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(hostFail), []api.ValueType{i32, i32}, nil).
		Export(abi.ImportFail)
}

// hostLog is log (level, ptr, len i32) -> ().
func hostLog(ctx context.Context, mod api.Module, stack []uint64) {
	in := instanceOf(ctx)
	in.checkDeadline()
	text := region(mod, uint32(stack[1]), uint32(stack[2]))
	in.machine.log.line(logLevel(int32(uint32(stack[0]))), in.shard, logSource, text)
}

// hostFail is fail (ptr, len i32) -> ().
func hostFail(ctx context.Context, mod api.Module, stack []uint64) {
	in := instanceOf(ctx)
	in.checkDeadline()
	text := region(mod, uint32(stack[0]), uint32(stack[1]))
	in.message = append(in.message[:0], printable.Cut(text, abi.MaxMessage)...)
}

func region(mod api.Module, ptr, length uint32) []byte {
	if length == 0 {
		return nil
	}
	b, ok := mod.Memory().Read(ptr, length)
	if !ok {
		panic(errBadPointer)
	}
	return b
}

// wasiModule makes WASI preview 1: wazero's, but for poll_oneoff, whose work
// and memory there grow with a number that the guest chooses.
func wasiModule(r wazero.Runtime) wazero.HostModuleBuilder {
	const i32 = api.ValueTypeI32
	b := r.NewHostModuleBuilder(abi.ModuleWASI)
	mount.ExportFunctions(b, func(ctx context.Context) { instanceOf(ctx).checkDeadline() })
	return b.NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(pollOneoff), []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32}).
		Export("poll_oneoff")
}

const (
	wasiSuccess = 0
	wasiBadf    = 8
	wasiFault   = 21
	wasiInval   = 28
)

// pollOneoff is poll_oneoff (in, out, nsubscriptions, nevents i32) -> errno.
// There is nothing to wait for: standard input is at its end, standard output
// takes everything, and a clock has passed after a millisecond at most.
func pollOneoff(ctx context.Context, mod api.Module, stack []uint64) {
	const (
		maxSubscriptions = 1024
		subscriptionSize = 48
		eventSize        = 32
		eventClock       = 0
		eventRead        = 1
		eventWrite       = 2
	)
	in := instanceOf(ctx)
	in.checkDeadline()
	from, to, n, result := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	if n == 0 || n > maxSubscriptions {
		stack[0] = wasiInval
		return
	}
	mem := mod.Memory()
	subscriptions, ok1 := mem.Read(from, n*subscriptionSize)
	events, ok2 := mem.Read(to, n*eventSize)
	if !ok1 || !ok2 || !mem.WriteUint32Le(result, n) {
		stack[0] = wasiFault
		return
	}
	wait := time.Duration(-1)
	for i := range int(n) {
		s, e := subscriptions[i*subscriptionSize:][:subscriptionSize], events[i*eventSize:][:eventSize]
		// The two regions may overlap: everything is read before it is written.
		user, kind, fd := binary.LittleEndian.Uint64(s), s[8], binary.LittleEndian.Uint32(s[16:])
		timeout, absolute := binary.LittleEndian.Uint64(s[24:]), s[40]&1 == 1
		clear(e)
		binary.LittleEndian.PutUint64(e, user)
		e[10] = kind
		switch kind {
		case eventClock:
			// A moment that lies ahead takes as long as may be slept at all.
			d := maxSleep
			if !absolute && timeout < uint64(maxSleep) {
				d = time.Duration(timeout)
			}
			if wait < 0 || d < wait {
				wait = d
			}
		case eventRead, eventWrite:
			if fd > 2 {
				e[8] = wasiBadf
			}
			wait = 0
		default:
			stack[0] = wasiInval
			return
		}
	}
	in.sleep(int64(wait))
	stack[0] = wasiSuccess
}

// hostSignatures returns what a guest may import, by module and function.
var hostSignatures = sync.OnceValue(func() map[string]map[string]preflight.Signature {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(engineInterpreter))
	defer r.Close(ctx)
	all := make(map[string]map[string]preflight.Signature)
	for name, builder := range map[string]wazero.HostModuleBuilder{
		abi.ModuleName: waddleModule(r),
		abi.ModuleWASI: wasiModule(r),
	} {
		module, err := builder.Compile(ctx)
		if err != nil {
			panic(err) // these functions are constants of the program
		}
		functions := make(map[string]preflight.Signature)
		for export, definition := range module.ExportedFunctions() {
			functions[export] = preflight.Signature{
				Params:  valueTypes(definition.ParamTypes()),
				Results: valueTypes(definition.ResultTypes()),
			}
		}
		all[name] = functions
	}
	return all
})

func valueTypes(types []api.ValueType) []preflight.ValueType {
	out := make([]preflight.ValueType, len(types))
	for i, t := range types {
		out[i] = preflight.ValueType(t)
	}
	return out
}

// random is the source of random_get.
type random struct{ in *instance }

// maxRandom is how many random bytes are made between two looks at the deadline.
const maxRandom = 64 << 10

// Read implements io.Reader; it gives less than it is asked for if that is much.
func (r random) Read(p []byte) (int, error) {
	r.in.checkDeadline()
	return rand.Read(p[:min(len(p), maxRandom)])
}
