package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// lending remembers that a thin module runs the code of the whole one with this version of wazero.
var lending struct {
	sync.Mutex
	works bool
}

// tryLending tries, before a process keeps code for the first time, all that [kept] relies on, with a small module.
func (w *codeWork) tryLending() error {
	lending.Lock()
	defer lending.Unlock()
	if lending.works {
		return nil
	}
	if err := w.tryLendingIn(w.of("try")); err != nil {
		return fmt.Errorf("wazero does not run the code of a module without the bodies of its functions: %w", err)
	}
	lending.works = true
	return nil
}

// probe has the text
//
//	(module
//	  (type $n (func (param i32) (result i32)))
//	  (import "h" "add" (func $add (type $n)))
//	  (func $twice (type $n) (i32.mul (local.get 0) (i32.const 2)))
//	  (func (export "f") (type $n)
//	    (global.set $g (i32.add (global.get $g) (local.get 0)))
//	    (i32.add (global.get $g)
//	      (call_indirect (type $n) (call $add (i32.load (i32.const 0))) (i32.const 0))))
//	  (table 1 funcref)
//	  (memory 1)
//	  (global $g (mut i32) (i32.const 3))
//	  (elem (i32.const 0) $twice)
//	  (data (i32.const 0) "\07\00\00\00"))
const probe = "\x00\x61\x73\x6d\x01\x00\x00\x00\x01\x06\x01\x60\x01\x7f\x01\x7f\x02\x09\x01\x01\x68\x03\x61\x64\x64\x00\x00\x03\x03\x02\x00\x00\x04\x04\x01\x70\x00\x01\x05\x03\x01\x00\x01\x06\x06\x01\x7f\x01\x41\x03\x0b\x07\x05\x01\x01\x66\x00\x02\x09\x07\x01\x00\x41\x00\x0b\x01\x01\x0a\x22\x02\x07\x00\x20\x00\x41\x02\x6c\x0b\x18\x00\x23\x00\x20\x00\x6a\x24\x00\x23\x00\x41\x00\x28\x02\x00\x10\x00\x41\x00\x11\x00\x00\x6a\x0b\x0b\x0a\x01\x00\x41\x00\x0b\x04\x07\x00\x00\x00"

func (w *codeWork) tryLendingIn(path string) error {
	ctx := context.Background()
	try := &codeWork{path: path}
	thin, err := withoutBodies([]byte(probe), false)
	if err != nil {
		return err
	}
	cache, err := wazero.NewCompilationCacheWithDir(try.of("whole"))
	if err != nil {
		return err
	}
	defer cache.Close(ctx)
	if err := guarded(func() error { return runProbe(ctx, []byte(probe), cache) }); err != nil {
		return err
	}
	config := func(cache wazero.CompilationCache) wazero.RuntimeConfig {
		return runtimeConfig(runtimeCompiler).WithCompilationCache(cache)
	}
	name, err := try.name(ctx, thin, config)
	if err != nil {
		return err
	}
	lent, err := wazero.NewCompilationCacheWithDir(try.of("lent"))
	if err != nil {
		return err
	}
	defer lent.Close(ctx)
	if err := guarded(func() error { return runProbe(onlyFound(ctx), thin, lent) }); !errors.Is(err, errNoCode) {
		return fmt.Errorf("without code it answers %v: must be %w", err, errNoCode)
	}
	from, err := try.lends(name)
	if err != nil {
		return err
	}
	if err := os.Rename(from, filepath.Join(try.of("lent"), name)); err != nil {
		return err
	}
	return guarded(func() error { return runProbe(onlyFound(ctx), thin, lent) })
}

// runProbe compiles the probe, or one without bodies, and calls its function, which has to do with
// everything that a module consists of.
func runProbe(ctx context.Context, wasm []byte, cache wazero.CompilationCache) error {
	r := wazero.NewRuntimeWithConfig(context.WithoutCancel(ctx), runtimeConfig(runtimeCompiler).WithCompilationCache(cache))
	ctx, compiling := context.WithoutCancel(ctx), ctx
	defer r.Close(ctx)
	module, err := r.CompileModule(compiling, wasm)
	if err != nil {
		return err
	}
	i32 := []api.ValueType{api.ValueTypeI32}
	add := api.GoFunc(func(_ context.Context, stack []uint64) { stack[0]++ })
	if _, err := r.NewHostModuleBuilder("h").NewFunctionBuilder().WithGoFunction(add, i32, i32).Export("add").Instantiate(ctx); err != nil {
		return err
	}
	instance, err := r.InstantiateModule(ctx, module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return err
	}
	const want = 3 + 10 + 2*(7+1)
	switch answer, err := instance.ExportedFunction("f").Call(ctx, 10); {
	case err != nil:
		return err
	case answer[0] != want:
		return fmt.Errorf("a function answers %d: must be %d", answer[0], want)
	}
	return nil
}
