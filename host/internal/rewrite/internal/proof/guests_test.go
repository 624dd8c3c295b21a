package proof_test

import (
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
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// driver calls a guest through the contract and nothing else. Clock and random numbers
// are the runtime's, which are the same in each run.
type driver struct {
	t      *testing.T
	ctx    context.Context
	mod    api.Module
	count  *meter // or nil
	buffer uint32
	size   int
	seen   []string // what each call gave
	fuel   []int64  // what each call used
	bytes  int      // calls that gave bytes
}

func newDriver(t *testing.T, engine string, wasm []byte, hook uint32, count *meter) *driver {
	t.Helper()
	d := &driver{t: t, ctx: context.Background(), count: count}
	compiling := d.ctx
	if count != nil {
		compiling, d.ctx = hooked(d.ctx, hook), count.with(d.ctx)
	}
	r := wazero.NewRuntimeWithConfig(d.ctx, engines[engine]().WithCoreFeatures(guestFeatures).WithMemoryLimitPages(2048).WithDebugInfoEnabled(false))
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	wasi_snapshot_preview1.MustInstantiate(d.ctx, r)
	_, err := r.NewHostModuleBuilder(abi.ModuleName).
		NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, ptr, n uint32) { d.say("fail", string(d.read(m, ptr, n))) }).Export(abi.ImportFail).
		NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, level, ptr, n uint32) { d.say("log", string(d.read(m, ptr, n))) }).Export(abi.ImportLog).
		Instantiate(d.ctx)
	require.NoError(t, err)
	code, err := r.CompileModule(compiling, wasm)
	require.NoError(t, err)
	d.mod, err = r.InstantiateModule(d.ctx, code, wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithFSConfig(wazero.NewFSConfig().WithDirMount(t.TempDir(), abi.MountPath)))
	require.NoError(t, err)
	return d
}

func (d *driver) say(what ...any) { d.seen = append(d.seen, fmt.Sprintln(what...)) }

func (d *driver) read(m api.Module, ptr, n uint32) []byte {
	b, ok := m.Memory().Read(ptr, n)
	require.True(d.t, ok, "%d bytes at %d", n, ptr)
	return append([]byte(nil), b...)
}

// call calls an export, if there is one. Some results are pointers to bytes.
func (d *driver) call(export string, pointer bool, args ...uint64) []byte {
	f := d.mod.ExportedFunction(export)
	if f == nil {
		d.say(export, "is absent")
		return nil
	}
	before := int64(0)
	if d.count != nil {
		before = d.count.used
		d.count.begin(d.mod)
	}
	results, err := f.Call(d.ctx, args...)
	require.NoError(d.t, err, export)
	if d.count != nil {
		d.count.end(d.mod)
		require.NoError(d.t, d.count.fault)
		require.EqualValues(d.t, rewrite.DepthLimit, counter(d.mod, rewrite.DepthExport).Get(), "%s does not give back all of its stack", export)
		d.fuel = append(d.fuel, d.count.used-before)
	}
	var b []byte
	switch {
	case len(results) == 0:
	case pointer && int64(results[0]) > 0:
		b = d.read(d.mod, uint32(results[0]>>32), uint32(results[0]))
		d.say(export, args, len(b), hash(b))
		d.bytes++
	default:
		d.say(export, args, results[0])
	}
	return b
}

// put writes bytes into the exchange buffer and returns where they are.
func (d *driver) put(parts ...[]byte) uint64 {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > d.size {
		f := d.mod.ExportedFunction(abi.ExportAlloc)
		results, err := f.Call(d.ctx, uint64(n))
		require.NoError(d.t, err)
		d.buffer, d.size = uint32(results[0]), n
		require.NotZero(d.t, d.buffer)
	}
	at := d.buffer
	for _, p := range parts {
		require.True(d.t, d.mod.Memory().Write(at, p))
		at += uint32(len(p))
	}
	return uint64(d.buffer)
}

// start does what a host does before any operation.
func (d *driver) start() {
	d.call(abi.ExportInitialize, false)
	d.call(abi.ExportDescribe, true)
	pairs := []byte("memory_limit\x0067108864\x00shard\x000\x00shards\x001\x00")
	d.call(abi.ExportOpen, false, d.put(pairs), uint64(len(pairs)))
}

// operations calls a guest at random, always with the same seed.
func (d *driver) operations(count int) {
	rng := rand.New(rand.NewPCG(1, 2))
	now := uint64(1_700_000_000_000)
	for range count {
		now += rng.Uint64N(50)
		key := fmt.Appendf(nil, "the key of session %d", rng.IntN(60))
		n := uint64(len(key))
		switch rng.IntN(12) {
		case 0, 1, 2, 3:
			value := make([]byte, 8+rng.IntN(400))
			for i := range value {
				value[i] = byte(rng.IntN(4)) * 37
			}
			binary.LittleEndian.PutUint64(value, rng.Uint64N(5))
			expires := []uint64{0, now + rng.Uint64N(2000), now + 1<<40}[rng.IntN(3)]
			expect := []int64{abi.ExpectAny, abi.ExpectAny, abi.ExpectAbsent, rng.Int64N(5)}[rng.IntN(4)]
			at := d.put(key, value)
			d.call(abi.ExportSet, false, at, n, at+n, uint64(len(value)), expires, now, uint64(expect))
		case 4, 5, 6, 7:
			d.call(abi.ExportGet, true, d.put(key), n, now)
		case 8:
			d.call(abi.ExportDelete, false, d.put(key), n, now)
		case 9:
			d.call(abi.ExportTouch, false, d.put(key), n, now+rng.Uint64N(5000), now)
		case 10:
			d.call(abi.ExportSweep, false, now, uint64(rng.IntN(5)))
			d.call(abi.ExportStats, true)
		case 11:
			switch rng.IntN(12) {
			case 0:
				d.call(abi.ExportClear, false, now)
			case 1:
				d.call(abi.ExportSave, false, now)
			case 2:
				if b := d.call(abi.ExportSnapshot, true, 0, now); len(b) > 8 {
					d.call(abi.ExportRestore, false, d.put(b[8:]), uint64(len(b)-8), now)
				}
			default:
				d.call(abi.ExportKeys, true, 0, now)
			}
		}
	}
}

// TestGuests: each guest does the same rewritten, with its data merged or not, and uses
// the same fuel in both engines.
func TestGuests(t *testing.T) {
	for name, wasm := range guests(t) {
		t.Run(name, func(t *testing.T) {
			large := len(wasm) > 1<<20
			if large && long(t) == 0 && !strings.Contains(name, "memory") {
				t.Skip("compiling takes long, and another guest built by Go is run: set WADDLE_PROOF to run this one, too")
			}
			count := 3000
			if large {
				count = 1000
			}
			run := func(engine string, wasm []byte, hook uint32, m *meter) *driver {
				d := newDriver(t, engine, wasm, hook, m)
				d.start()
				d.operations(count)
				return d
			}
			fuel := func(slice int64) *meter { return &meter{budget: 1 << 60, slice: slice, depth: rewrite.DepthLimit} }
			metered, report := rewritten(t, wasm, rewrite.Options{Meter: true, MergeData: true})
			plain := run("compiler", wasm, 0, nil)
			compiled := run("compiler", metered, report.Hook, fuel(1<<20))
			require.Equal(t, plain.seen, compiled.seen)
			require.Greater(t, plain.bytes, count/8, "records and the like that were found: %s", plain.seen[:20])
			if large && long(t) == 0 {
				return
			}
			unmerged, unmergedReport := rewritten(t, wasm, rewrite.Options{Meter: true})
			interpreted := run("interpreter", unmerged, unmergedReport.Hook, fuel(100))
			require.Equal(t, plain.seen, interpreted.seen)
			require.Equal(t, compiled.fuel, interpreted.fuel)
			require.Greater(t, interpreted.count.hooks, compiled.count.hooks)
		})
	}
}
