package plugin

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/cpu"
)

// runtimeKind says how guest code is executed.
type runtimeKind int

const (
	runtimeCompiler runtimeKind = iota
	runtimeInterpreter
)

func (k runtimeKind) String() string {
	if k == runtimeInterpreter {
		return "interpreter"
	}
	return "compiler"
}

// features are those that the contract allows a module to use. They exclude
// reference types, because table.grow, which comes with them, takes the host's
// memory without any limit.
const features = api.CoreFeaturesV2 &^ api.CoreFeatureReferenceTypes

// runtimeConfig returns the config that all runtimes share. It leaves out debug
// sections: they come from the guest, are large, and only add line numbers to traces.
func runtimeConfig(kind runtimeKind) wazero.RuntimeConfig {
	config := wazero.NewRuntimeConfigCompiler()
	if kind == runtimeInterpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	return config.WithCoreFeatures(features).WithDebugInfoEnabled(false)
}

// bestRuntime finds out once whether the compiler works here. It needs a known
// processor and an operating system that allows executable memory.
var bestRuntime = sync.OnceValue(func() runtimeKind {
	if runtime.GOARCH == "amd64" && !cpu.X86.HasSSE41 {
		return runtimeInterpreter
	}
	// A module with one empty function, exported as "f".
	const probe = "\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x05\x01\x01f\x00\x00\x0a\x04\x01\x02\x00\x0b"
	ctx := context.Background()
	err := guarded(func() error {
		r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(runtimeCompiler))
		defer r.Close(ctx)
		module, err := r.Instantiate(ctx, []byte(probe))
		if err != nil {
			return err
		}
		_, err = module.ExportedFunction("f").Call(ctx)
		return err
	})
	if err != nil {
		return runtimeInterpreter
	}
	return runtimeCompiler
})

// guarded turns a panic of the runtime into an error. The runtime assumes more about a
// module than the host has checked.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the runtime panicked: %v", r)
		}
	}()
	return f()
}
