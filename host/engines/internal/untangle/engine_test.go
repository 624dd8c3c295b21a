package untangle_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/engines/internal/untangle"
)

// The memory engine must give the same answers and leave the same memory, byte for byte:
// what lies on its stack and in its heap shows what it has done on the way.
func TestEngineLeavesTheSameMemory(t *testing.T) {
	wasm := build(t, "../../../../guest/engines/memory", "-buildmode=c-shared")
	faster, _, err := untangle.Module(wasm, untangle.Options{Fast: func(name string) bool {
		return strings.HasPrefix(name, "main.") || strings.Contains(name, "waddle")
	}})
	require.NoError(t, err)
	a, b := start(t, wasm), start(t, faster)
	for _, e := range []*engine{a, b} {
		require.Zero(t, e.open("memory_limit", "12582912", "shard", "0", "shards", "1"))
	}
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{
		abi.ExportGet, abi.ExportGet, abi.ExportSet, abi.ExportSet, abi.ExportSet, abi.ExportDelete, abi.ExportTouch,
		abi.ExportSweep, abi.ExportKeys, abi.ExportSnapshot, abi.ExportStats,
	}
	value := make([]byte, 80_000)
	answers := make(map[string]int)
	for n := range 30_000 {
		now := uint64(1 + n/10)
		expires := uint64(0)
		if random.IntN(3) == 0 {
			expires = now + uint64(random.IntN(100)) - 3
		}
		key := make([]byte, []int{32, 32, 32, 1, 7, 40, 1024, 1025, 0}[random.IntN(9)])
		if len(key) > 0 {
			binary.LittleEndian.PutUint16(append(key, 0)[len(key)/2:][:2], uint16(random.IntN(1500)))
		}
		size := random.IntN(600)
		if n%200 == 0 {
			size = random.IntN(len(value))
		}
		binary.LittleEndian.PutUint64(value, uint64(n))
		expect := []int64{0, 0, 0, -1, int64(n - 5)}[random.IntN(5)]
		name := names[random.IntN(len(names))]
		if n == 20_000 {
			name = abi.ExportClear
		}
		var results [2]int64
		var bodies [2][]byte
		for k, e := range []*engine{a, b} {
			e.write(key, value[:size])
			k0, k1, v0, v1 := uint64(e.exchange), uint64(len(key)), uint64(e.exchange)+uint64(len(key)), uint64(size)
			switch name {
			case abi.ExportGet, abi.ExportDelete:
				results[k] = e.call(name, k0, k1, now)
			case abi.ExportSet:
				results[k] = e.call(name, k0, k1, v0, v1, expires, now, uint64(expect))
			case abi.ExportTouch:
				results[k] = e.call(name, k0, k1, expires, now)
			case abi.ExportSweep:
				results[k] = e.call(name, now, 50)
			case abi.ExportKeys, abi.ExportSnapshot:
				results[k] = e.call(name, uint64(n%7*100), now)
			case abi.ExportStats:
				results[k] = e.call(name)
			case abi.ExportClear:
				results[k] = e.call(name, now)
			}
			if results[k] > 0 && name != abi.ExportSweep {
				bodies[k] = e.read(results[k])
			}
		}
		if results[0] != results[1] || !bytes.Equal(bodies[0], bodies[1]) {
			require.Equal(t, results[0], results[1], "call %d, %s", n, name)
			require.Equal(t, bodies[0], bodies[1], "call %d, %s", n, name)
		}
		answers[fmt.Sprint(name, min(results[0], 0))]++
		if n%1000 == 0 {
			require.True(t, bytes.Equal(a.all(), b.all()), "the memories differ after call %d", n)
		}
	}
	require.True(t, bytes.Equal(a.all(), b.all()))
	t.Log(answers)
	require.Greater(t, len(answers), 15, "the calls are answered in too few ways")
}

// engine is an instance with fixed randomness and a clock that stands still.
type engine struct {
	t        *testing.T
	mod      api.Module
	exchange uint32
	stack    [7]uint64
}

func start(t *testing.T, wasm []byte) *engine {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(12<<20>>16))
	t.Cleanup(func() { _ = r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	_, err := r.NewHostModuleBuilder(abi.ModuleName).
		NewFunctionBuilder().WithFunc(func(int32, uint32, uint32) {}).Export(abi.ImportLog).
		NewFunctionBuilder().WithFunc(func(uint32, uint32) {}).Export(abi.ImportFail).
		Instantiate(ctx)
	require.NoError(t, err)
	mod, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions(abi.ExportInitialize).
		WithRandSource(rand.NewChaCha8([32]byte{1, 2, 3})))
	require.NoError(t, err)
	e := &engine{t: t, mod: mod}
	e.exchange = uint32(e.call(abi.ExportAlloc, 100_000))
	return e
}

func (e *engine) call(name string, params ...uint64) int64 {
	copy(e.stack[:], params)
	err := e.mod.ExportedFunction(name).CallWithStack(context.Background(), e.stack[:max(1, len(params))])
	require.NoError(e.t, err, "%s %d", name, params)
	return int64(e.stack[0])
}

func (e *engine) open(settings ...string) int64 {
	var list []byte
	for n := 0; n < len(settings); n += 2 {
		list = abi.AppendPair(list, settings[n], settings[n+1])
	}
	e.write(list)
	return e.call(abi.ExportOpen, uint64(e.exchange), uint64(len(list)))
}

func (e *engine) write(parts ...[]byte) {
	at := e.exchange
	for _, p := range parts {
		require.True(e.t, e.mod.Memory().Write(at, p))
		at += uint32(len(p))
	}
}

func (e *engine) read(result int64) []byte {
	at, n := abi.Unpack(result)
	b, ok := e.mod.Memory().Read(at, n)
	require.True(e.t, ok)
	return b
}

func (e *engine) all() []byte {
	b, _ := e.mod.Memory().Read(0, e.mod.Memory().Size())
	return b
}
