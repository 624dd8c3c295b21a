//go:build !wasip1

package wasmtest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
)

// Instance is one instance of a [Module]. A trap ends the test.
type Instance struct {
	Memory   api.Memory
	Exchange uint32 // the address of the exchange buffer, which Write fills

	t      testing.TB
	module *Module
	mod    api.Module
	size   uint32 // of the exchange buffer
	stack  []uint64

	get, set, del, touch api.Function // looking one up takes microseconds
}

// Close ends the instance without notice, as when its process is killed.
func (i *Instance) Close() { _ = i.mod.Close(context.Background()) }

// Call calls an export.
func (i *Instance) Call(name string, params ...uint64) int64 {
	return i.call(i.mod.ExportedFunction(name), params...)
}

func (i *Instance) call(f api.Function, params ...uint64) int64 {
	n := copy(i.stack, params)
	if err := f.CallWithStack(context.Background(), i.stack[:max(n, 1)]); err != nil {
		i.t.Fatalf("%s: %v", f.Definition().Name(), err)
	}
	return int64(i.stack[0])
}

// Write puts arguments into the exchange buffer, one after another. It returns
// false if the engine has no room for them.
func (i *Instance) Write(parts ...[]byte) bool {
	size := uint32(0)
	for _, p := range parts {
		size += uint32(len(p))
	}
	if size > i.size {
		ptr := i.Call(abi.ExportAlloc, uint64(size))
		if ptr == 0 {
			return false
		}
		i.Exchange, i.size = uint32(ptr), size
	}
	at := i.Exchange
	for _, p := range parts {
		if !i.Memory.Write(at, p) {
			i.t.Fatal("the exchange buffer lies outside the memory")
		}
		at += uint32(len(p))
	}
	return true
}

// Read returns the region that a result names. It belongs to the guest and is
// valid until the next call.
func (i *Instance) Read(result int64) []byte {
	ptr, length := abi.Unpack(result)
	b, ok := i.Memory.Read(ptr, length)
	if length > 0 && !ok {
		i.t.Fatal("a result lies outside the memory")
	}
	return b
}

// Open opens the instance with pairs of names and values. The memory limit is
// added unless it is among them.
func (i *Instance) Open(settings ...string) abi.Code {
	all := map[string]string{abi.ConfigMemoryLimit: strconv.Itoa(i.module.MemoryLimit)}
	for n := 0; n < len(settings); n += 2 {
		all[settings[n]] = settings[n+1]
	}
	var list []byte
	for _, name := range slices.Sorted(maps.Keys(all)) { // in the order that the contract requires
		list = abi.AppendPair(list, name, all[name])
	}
	if !i.Write(make([]byte, 4096)) || !i.Write(list) {
		i.t.Fatal("there is no room for the settings")
	}
	return abi.Code(i.Call(abi.ExportOpen, uint64(i.Exchange), uint64(len(list))))
}

// Get returns a value, which is valid until the next call.
func (i *Instance) Get(key []byte, now int64) ([]byte, abi.Code) {
	i.Write(key)
	r := i.call(i.get, uint64(i.Exchange), uint64(len(key)), uint64(now))
	if r < 0 {
		return nil, abi.Code(r)
	}
	return i.Read(r), 0
}

// Set also answers NoSpace if there was no room for the arguments.
func (i *Instance) Set(key, value []byte, expires, now, expect int64) abi.Code {
	if !i.Write(key, value) {
		return abi.NoSpace
	}
	return abi.Code(i.call(i.set, uint64(i.Exchange), uint64(len(key)), uint64(i.Exchange)+uint64(len(key)),
		uint64(len(value)), uint64(expires), uint64(now), uint64(expect)))
}

func (i *Instance) Touch(key []byte, expires, now int64) abi.Code {
	i.Write(key)
	return abi.Code(i.call(i.touch, uint64(i.Exchange), uint64(len(key)), uint64(expires), uint64(now)))
}

func (i *Instance) Delete(key []byte, now int64) abi.Code {
	i.Write(key)
	return abi.Code(i.call(i.del, uint64(i.Exchange), uint64(len(key)), uint64(now)))
}

func (i *Instance) Clear(now int64) abi.Code { return abi.Code(i.Call(abi.ExportClear, uint64(now))) }
func (i *Instance) Save(now int64) abi.Code  { return abi.Code(i.Call(abi.ExportSave, uint64(now))) }

func (i *Instance) Sweep(now int64, most int) int64 {
	return i.Call(abi.ExportSweep, uint64(now), uint64(most))
}
