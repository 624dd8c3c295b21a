// Package wasi is WASI preview 1 as a guest is given it: wazero's functions, but
// that none of them costs the host more than a bounded amount, and that errors
// of files such as ENOSPC and EMFILE reach the guest.
//
// Which of them a guest may import, and what stands behind them, is not decided
// here.
package wasi

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Function is a function as a guest imports it.
type Function struct {
	Name            string
	Params, Results []api.ValueType
	Call            api.GoModuleFunction
}

// Hooks are what the embedder has to say.
type Hooks struct {
	// Before runs at the beginning of each function. It may panic in order to end the
	// guest. After runs at the end of each function that deals with files. Nil is
	// nothing.
	Before func(context.Context, Work)
	After  func(context.Context)

	// Sleep is what poll_oneoff waits by, less long than it is asked to if the
	// embedder so decides. Nil waits not at all.
	Sleep func(context.Context, time.Duration)

	// Sockets are the guest's, or nil if it has none. Nil is for guests that have none.
	Sockets func(context.Context) Sockets

	// Common reports whether the guest has its standard streams in common with others. It
	// can then write to them, and not change them. Nil is for streams of its own.
	Common func(context.Context) bool
}

// Functions are all functions of WASI preview 1, by their names in order.
func Functions(hooks Hooks) []Function {
	if hooks.Before == nil {
		hooks.Before = func(context.Context, Work) {}
	}
	if hooks.After == nil {
		hooks.After = func(context.Context) {}
	}
	if hooks.Common == nil {
		hooks.Common = func(context.Context) bool { return false }
	}
	if hooks.Sleep == nil {
		hooks.Sleep = func(context.Context, time.Duration) {}
	}
	if hooks.Sockets == nil {
		hooks.Sockets = func(context.Context) Sockets { return nil }
	}
	var all []Function
	for name, definition := range wazeros() {
		call := definition.GoFunction().(api.GoModuleFunction)
		switch {
		case name == pollName:
			call = poll(hooks)
		case strings.HasPrefix(name, "fd_"), strings.HasPrefix(name, "path_"):
			call = &fileFunction{wasi: call, limits: limits[name], vectored: vectored[name], changes: changes[name], hooks: hooks}
		default:
			call = before(hooks.Before, call)
		}
		if socket, ok := socketFunctions[name]; ok {
			call = &socketFunction{socket: socket, vectored: vectoredWork[name], other: call, hooks: hooks}
		}
		all = append(all, Function{name, definition.ParamTypes(), definition.ResultTypes(), call})
	}
	slices.SortFunc(all, func(a, b Function) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Work is what a function is about to do.
type Work struct {
	Files bool // it deals with files
	Bytes int  // that it was asked to read or write, no more than [MaxTransfer], or that poll_oneoff goes through
}

// before returns a function with a hook.
func before(hook func(context.Context, Work), call api.GoModuleFunction) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		hook(ctx, Work{})
		call.Call(ctx, mod, stack)
	}
}

// wazeros are wazero's own functions, which only a compiled module gives out.
var wazeros = sync.OnceValue(func() map[string]api.FunctionDefinition {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	module, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	if err != nil {
		panic(err) // these functions are constants of the program
	}
	return maps.Clone(module.ExportedFunctions())
})

// Numbers of WASI.
const (
	success     = 0
	badf        = 8
	fault       = 21
	inval       = 28
	nametoolong = 37
	notsup      = 58
)
