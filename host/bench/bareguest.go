package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// bareGuest calls a guest through wazero alone, as it is or with wazero's own way to end
// a call: close-on-done, and a context with a deadline for each call.
type bareGuest struct {
	label        string
	ctx          context.Context
	closes       bool
	runtime      wazero.Runtime
	module       api.Module
	getter       api.Function
	setter       api.Function
	buffer       uint32
	stack        [7]uint64
	keys, values [][]byte
	now          store.Millis
	message      string
}

var _ callee = (*bareGuest)(nil)

func newBareGuest(ctx context.Context, label string, wasm []byte, closes bool) (_ *bareGuest, err error) {
	g := &bareGuest{label: label, ctx: ctx, closes: closes, now: store.At(time.Now())}
	g.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(closes).WithMemoryLimitPages(engineSmall>>16))
	defer func() {
		if err != nil {
			_ = g.close()
		}
	}()
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, g.runtime); err != nil {
		return nil, err
	}
	_, err = g.runtime.NewHostModuleBuilder(abi.ModuleName).
		NewFunctionBuilder().WithFunc(func(_, _, _ uint32) {}).Export(abi.ImportLog).
		NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, ptr, n uint32) {
		text, _ := m.Memory().Read(ptr, n)
		g.message = string(text)
	}).Export(abi.ImportFail).
		Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	if g.module, err = g.runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().
		WithStartFunctions(abi.ExportInitialize).WithSysWalltime().WithSysNanotime()); err != nil {
		return nil, err
	}
	config := abi.AppendPair(nil, abi.ConfigMemoryLimit, strconv.Itoa(engineSmall))
	config = abi.AppendPair(config, abi.ConfigShard, "0")
	config = abi.AppendPair(config, abi.ConfigShards, "1")
	buffer, err := g.module.ExportedFunction(abi.ExportAlloc).Call(ctx, 4096)
	if err != nil {
		return nil, err
	}
	g.buffer = uint32(buffer[0])
	g.module.Memory().Write(g.buffer, config)
	answer, err := g.module.ExportedFunction(abi.ExportOpen).Call(ctx, uint64(g.buffer), uint64(len(config)))
	if err != nil || int64(answer[0]) < 0 {
		return nil, fmt.Errorf("session_open: %v, %v %s", answer, err, g.message)
	}
	g.getter, g.setter = g.module.ExportedFunction(abi.ExportGet), g.module.ExportedFunction(abi.ExportSet)
	for i := range callKeys {
		key, value := record(i)
		g.keys, g.values = append(g.keys, key), append(g.values, value)
	}
	return g, nil
}

func (g *bareGuest) name() string { return g.label }
func (g *bareGuest) close() error { return g.runtime.Close(g.ctx) }

// call calls a function with what is on the stack.
func (g *bareGuest) call(f api.Function) (int64, error) {
	ctx := g.ctx
	if g.closes {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, plugin.DefaultDeadline)
		defer cancel()
	}
	if err := f.CallWithStack(ctx, g.stack[:]); err != nil {
		return 0, err
	}
	return int64(g.stack[0]), nil
}

func (g *bareGuest) get(i int) ([]byte, error) {
	key := g.keys[i]
	g.module.Memory().Write(g.buffer, key)
	g.stack[0], g.stack[1], g.stack[2] = uint64(g.buffer), uint64(len(key)), uint64(g.now)
	result, err := g.call(g.getter)
	switch {
	case err != nil:
		return nil, err
	case result == int64(abi.NotFound):
		return nil, store.ErrNotFound
	case result < 0:
		return nil, errors.New("get: " + abi.Code(result).String())
	}
	value, ok := g.module.Memory().Read(abi.Unpack(result))
	if !ok {
		return nil, errors.New("get: a region outside the memory")
	}
	return bytes.Clone(value), nil
}

func (g *bareGuest) set(i int) error {
	key, value := g.keys[i], g.values[i]
	at := g.buffer + uint32(len(key))
	g.module.Memory().Write(g.buffer, key)
	g.module.Memory().Write(at, value)
	g.stack = [7]uint64{uint64(g.buffer), uint64(len(key)), uint64(at), uint64(len(value)),
		uint64(g.now + store.Span(time.Hour)), uint64(g.now), uint64(abi.ExpectAny)}
	if result, err := g.call(g.setter); err != nil || result < 0 {
		return fmt.Errorf("set: %v, %w", result, err)
	}
	return nil
}
