package plugin

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

// builtinPermissions lists what a guest may do on this host, in the order in which it
// is shown. A new permission is a new row.
var builtinPermissions = sync.OnceValue(func() permissions {
	system := wasiFunctions()
	return permissions{
		{
			name: "log", meaning: "write lines to the host's log",
			functions: waddleFunction(abi.ImportLog, hostLog, api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32),
		},
		{
			name: "fail", meaning: "explain the errors it answers",
			functions: waddleFunction(abi.ImportFail, hostFail, api.ValueTypeI32, api.ValueTypeI32),
		},
		{
			name: "output", meaning: "write to standard output and error, which go to the host's log",
			functions: system("fd_", "-fd_readdir"),
			attach:    withOutput,
		},
		{
			name: "files", meaning: "read, make, change and remove files in a directory mounted for it",
			functions: system("path_", "fd_readdir"),
			// The other functions on descriptors find only the standard streams, unless
			// the guest can open files.
			shared: func(f hostFunction) bool {
				return f.module == abi.ModuleWASI && strings.HasPrefix(f.name, "fd_") && f.name != "fd_write"
			},
			grant: &grant{
				field: GrantMounts, given: func(c *Config) bool { return len(c.Mounts) > 0 },
				without: "they find no directory, since runtime libraries import them whatever a guest is for",
				open:    func(ctx context.Context, p *Plugin) error { return p.mount(ctx) },
				close:   func(p *Plugin) error { return p.mounts.close(p.config.Host.budgets.handles) },
			},
			prepare: func(m *machine, c wazero.ModuleConfig) wazero.ModuleConfig {
				return c.WithFSConfig(m.files)
			},
		},
		{
			name: "network", meaning: "connect to the addresses granted to it, and read and write there",
			functions: networkFunctions(),
			// Without connections the functions on sockets find none.
			shared: func(f hostFunction) bool { return f.module == abi.ModuleWASI && strings.HasPrefix(f.name, "sock_") },
			grant: &grant{
				field: GrantNetwork, given: func(c *Config) bool { return c.Network.granted() },
				open:  func(_ context.Context, p *Plugin) error { return p.openNetwork() },
				close: func(p *Plugin) error { return p.closeNetwork() },
			},
		},
		{
			name: "clocks", meaning: "read the real time and a steady clock",
			functions: system("clock_"),
			prepare: func(_ *machine, c wazero.ModuleConfig) wazero.ModuleConfig {
				return c.WithSysWalltime().WithNanotime(func() int64 { return int64(steady()) }, steadyResolution)
			},
		},
		{
			name: "random", meaning: "draw random bytes, which are cryptographically secure",
			functions: system("random_get"),
			attach: func(ex *executor, c wazero.ModuleConfig) wazero.ModuleConfig {
				return c.WithRandSource(random{ex})
			},
		},
		{
			name: "wait", meaning: "sleep for at most a millisecond in each call, or as long as it may wait for its network",
			functions: system("poll_oneoff", "sched_yield"),
		},
		{
			name: "exit", meaning: "end its own instance, which counts as a failure",
			functions: system("proc_"),
		},
		{
			name: "environment", meaning: "read arguments and environment variables; there are none",
			functions: system("args_", "environ_"),
		},
		{
			name: "sockets", meaning: "use its connections as sockets; it has no others",
			functions: system("sock_"),
		},
	}
})

// waddleFunction is a function of module waddle_v1 without a result.
func waddleFunction(name string, call api.GoModuleFunc, params ...api.ValueType) []hostFunction {
	return []hostFunction{{module: abi.ModuleName, name: name, params: params, call: call}}
}

// wasiFunctions returns a function that picks functions of WASI: by name, or, if the
// name ends with "_", by how their names begin. A name after "-" is left out.
func wasiFunctions() func(names ...string) []hostFunction {
	all := wasi.Functions(wasi.Hooks{
		Before: func(ctx context.Context, w wasi.Work) { instanceOf(ctx).enter(w) },
		After:  func(ctx context.Context) { instanceOf(ctx).leave() },
		Sleep:  func(ctx context.Context, d time.Duration) { instanceOf(ctx).sleep(d) },
		Sockets: func(ctx context.Context) wasi.Sockets {
			if c := instanceOf(ctx).conns; c != nil {
				return sockets{c}
			}
			return nil
		},
		Common: func(ctx context.Context) bool { return instanceOf(ctx).seat != nil },
	})
	return func(names ...string) (picked []hostFunction) {
		for _, f := range all {
			picks := false
			for _, name := range names {
				switch {
				case f.Name == name, strings.HasSuffix(name, "_") && strings.HasPrefix(f.Name, name):
					picks = true
				case "-"+f.Name == name:
					picks = false
				}
			}
			if picks {
				picked = append(picked, hostFunction{abi.ModuleWASI, f.Name, f.Params, f.Results, f.Call})
			}
		}
		return picked
	}
}

// Faults that a function of the host finds. It panics with them, and wazero turns the
// panic into a trap. The instance tells these traps from the guest's own.
var (
	errBadPointer = errors.New("the guest gave a function of the host a region outside its memory")
	errNotGranted = errors.New("the guest called a function of the host that the plugin is not granted")
)

// callContext is the context of an instance's calls. wazero asks it for values in each call, so
// it knows the answer without a search.
type callContext struct {
	context.Context
	inst *instance
}

// instanceKey is the key of the instance.
type instanceKey struct{}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	if _, ok := key.(instanceKey); ok {
		return c.inst
	}
	return nil
}

func instanceOf(ctx context.Context) *instance { return ctx.Value(instanceKey{}).(*instance) }

// hostLog is log (level, ptr, len i32) -> ().
func hostLog(ctx context.Context, mod api.Module, stack []uint64) {
	inst := instanceOf(ctx)
	inst.charge(callFuel + lineFuel + int64(uint32(stack[2]))/bytesPerFuel)
	text := region(mod, uint32(stack[1]), uint32(stack[2]))
	inst.aside(func() { inst.machine.log.line(logLevel(int32(uint32(stack[0]))), inst.shard, logSource, text) })
}

// hostFail is fail (ptr, len i32) -> ().
func hostFail(ctx context.Context, mod api.Module, stack []uint64) {
	inst := instanceOf(ctx)
	inst.charge(callFuel + int64(uint32(stack[1]))/bytesPerFuel)
	text := region(mod, uint32(stack[0]), uint32(stack[1]))
	inst.message = append(inst.message[:0], printable.Cut(text, abi.MaxMessage)...)
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

// random is the source of random_get.
type random struct{ ex *executor }

// maxRandom is how many random bytes Read draws, and charges for, at a time.
const maxRandom = 64 << 10

// Read implements io.Reader. It returns at most maxRandom bytes.
func (r random) Read(p []byte) (int, error) {
	p = p[:min(len(p), maxRandom)]
	r.ex.inst.charge(int64(len(p)) / randomBytesPerFuel)
	return rand.Read(p)
}
