package rewrite_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Recursion of whatever kind ends before it takes more stack than it may. The engine's
// stack grows by doubling, so its size may be twice what is used.
func TestRecursion(t *testing.T) {
	for name, wasm := range recursions() {
		t.Run(name, func(t *testing.T) {
			r, err := start(t, compiler(), wasm, metered)
			require.NoError(t, err)
			f := r.module.ExportedFunction(last(r))
			_, err = f.Call(ctx)
			if !errors.Is(err, errDepth) {
				t.Fatalf("%.200s", err)
			}
			require.Less(t, int64(r.depth.Get()), int64(0))
			stack := reflect.ValueOf(f).Elem().FieldByName("stack").Len()
			t.Logf("stack %d bytes", stack)
			require.Less(t, stack, 3*rewrite.DepthLimit)
			require.Greater(t, stack, rewrite.DepthLimit/64, "it was ended too early")
		})
	}
}

// A host may give a part of the stack, and the rest when that is used up: the call goes on
// where it was, and everything is given back.
func TestStackInParts(t *testing.T) {
	n := types(wasmbin.I32)
	down := func(calls ...any) fn { // returns as many as it was told
		return fn{params: n, results: n, code: ops(get, 0, eqz, if_, wasmbin.I32, i32, 0, els, get, 0, i32, 1, sub, ops(calls...), i32, 1, add, end)}
	}
	for name, functions := range map[string][]fn{
		"direct":   {down(call, 0)},
		"mutual":   {down(call, 1), down(call, 0)},
		"indirect": {down(i32, 0, indirect, 0, 0)},
	} {
		for engine, config := range engines {
			t.Run(name+"/"+engine, func(t *testing.T) {
				r, err := start(t, config, (&building{functions: functions}).wasm(), metered)
				require.NoError(t, err)
				var fuel []int64
				for _, first := range []int64{rewrite.DepthLimit, 64 << 10, 1, 0} {
					r.depth.Set(uint64(first))
					r.rest = rewrite.DepthLimit - first
					results, used, err := r.call(0, "f0", 1500)
					require.NoError(t, err)
					require.Equal(t, []uint64{1500}, results)
					require.EqualValues(t, rewrite.DepthLimit, int64(r.depth.Get()))
					require.Zero(t, r.rest)
					fuel = append(fuel, used)
				}
				require.Equal(t, fuel[:1], fuel[1:2])
				require.Equal(t, fuel[1:2], fuel[2:3])
				r.depth.Set(64 << 10)
				_, _, err = r.call(0, "f0", 1500)
				require.ErrorIs(t, err, errDepth)
			})
		}
	}
}

// recursions are modules whose last export calls without end.
func recursions() map[string][]byte {
	module := func(f ...fn) []byte { return (&building{functions: f}).wasm() }
	// Each local is set before the call and read after it.
	locals := func(n int, load, store wasmbin.Code, t wasmbin.ValueType) fn {
		f := fn{locals: sizes(n, t)}
		for i := range n {
			f.code.Code(ops(load, set, i))
		}
		f.code.Code(ops(call, 0))
		for i := range n {
			f.code.Code(ops(i32, 0, get, i, store))
		}
		return f
	}
	// Loads are values that the compiler cannot make again.
	load32 := ops(i32, 0, wasmbin.OpI32Load, 2, 0)
	store32 := ops(wasmbin.OpI32Store, 2, 0)
	load128 := ops(i32, 0, wasmbin.Vector(0), 0, 0)
	store128 := ops(wasmbin.Vector(11), 0, 0)
	kept := func(n int, load, store wasmbin.Code) fn {
		var f fn
		for range n {
			f.code.Code(ops(i32, 0))
			f.code.Code(load)
		}
		f.code.Code(ops(call, 0))
		for range n {
			f.code.Code(store)
		}
		return f
	}
	many := make([]wasmbin.ValueType, 200)
	for i := range many {
		many[i] = wasmbin.I64
	}
	var pass wasmbin.Code
	for i := range many {
		pass.Code(ops(get, i))
	}
	zeros := func() (c wasmbin.Code) {
		for range many {
			c.Code(ops(i64, int64(0)))
		}
		return c
	}()
	diamond := func(deep int) []byte { // each calls the next from two branches, and the last the first
		var f []fn
		for i := range deep {
			f = append(f, fn{code: ops(i32, 1, if_, void, call, (i+1)%deep, els, call, (i+1)%deep, end)})
		}
		return module(f...)
	}
	morestack := func(n int) []byte { // each may call function 0, which calls any by table
		f := []fn{{code: ops(i32, 1, indirect, 0, 0)}}
		for i := range n {
			f = append(f, fn{code: ops(i32, 0, if_, void, call, 0, end, call, 1+(i+1)%n)})
		}
		return module(f...)
	}
	chain := func(n int) []byte { // a long way round
		var f []fn
		for i := range n {
			f = append(f, fn{code: ops(call, (i+1)%n)})
		}
		return module(f...)
	}
	return map[string][]byte{
		"direct":              module(fn{code: ops(call, 0)}),
		"mutual":              module(fn{code: ops(call, 1)}, fn{code: ops(call, 0)}),
		"three":               module(fn{code: ops(call, 1)}, fn{code: ops(call, 2)}, fn{code: ops(call, 0)}),
		"long":                chain(500),
		"indirect":            module(fn{code: ops(i32, 0, indirect, 0, 0)}),
		"direct and indirect": module(fn{code: ops(call, 1)}, fn{code: ops(i32, 0, indirect, 0, 0)}),
		"diamonds":            diamond(30),
		"morestack":           morestack(50),
		"locals":              module(locals(500, load32, store32, wasmbin.I32)),
		"wide locals":         module(locals(500, load128, store128, wasmbin.V128)),
		"unused locals":       module(fn{locals: sizes(40_000, wasmbin.I64), code: ops(call, 0)}),
		"operands":            module(kept(500, load32, store32)),
		"wide operands":       module(kept(500, load128, store128)),
		"parameters":          module(fn{params: many, code: ops(pass, call, 0)}, fn{code: ops(zeros, call, 0)}),
		"results":             module(fn{results: many, code: ops(call, 0)}, fn{code: append(ops(call, 0), dropped(len(many))...)}),
		"in a loop":           module(fn{code: ops(loop, void, call, 0, br, 0, end)}),
		"with results":        module(fn{results: types(wasmbin.I32), code: ops(call, 0, i32, 1, add)}, fn{code: ops(call, 0, drop)}),
		"phis":                module(phis(60, 60)),
	}
}

func dropped(n int) (c wasmbin.Code) {
	for range n {
		c.Code(ops(drop))
	}
	return c
}

// phis is a function in which many locals have one of two values at the end of each of many
// blocks, and all of them live on behind a call.
func phis(locals, blocks int) fn {
	load := ops(i32, 0, wasmbin.OpI32Load, 2, 0)
	var c wasmbin.Code
	for range blocks {
		c.Code(ops(block, void))
	}
	for l := range locals {
		c.Code(ops(load, set, l))
	}
	for range blocks {
		c.Code(ops(load, brIf, 0))
		for l := range locals {
			c.Code(ops(load, set, l))
		}
		c.Code(ops(end))
		c.Code(ops(load, if_, void, call, 0, end))
	}
	c.Code(ops(call, 0))
	for l := range locals {
		c.Code(ops(i32, 0, get, l, wasmbin.OpI32Store, 2, 0))
	}
	return fn{locals: sizes(locals, wasmbin.I32), code: c}
}
