package plugin_test

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// The guest searches its slots from the first on, so a single record measures little
// more than the way to the guest and back.

var benchKey = []byte("0123456789abcdef0123456789abcdef")

func benchPlugin(b *testing.B, name string, deadline time.Duration) *plugin.Plugin {
	config := quiet()
	config.Trusted, config.Deadline = deadline == 0, deadline
	p := open(b, guest(b, name), config)
	require.NoError(b, p.Set(ctx, store.Write{Key: benchKey, Value: make([]byte, 300), Now: 1}))
	return p
}

func BenchmarkGet(b *testing.B) {
	for _, c := range []struct {
		name     string
		deadline time.Duration
	}{{"trusted", 0}, {"deadline", time.Second}} {
		b.Run(c.name, func(b *testing.B) {
			p := benchPlugin(b, "store", c.deadline)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Get(ctx, benchKey, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/into", func(b *testing.B) {
			p, into := benchPlugin(b, "store", c.deadline), make([]byte, 0, 512)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.GetInto(ctx, benchKey, 1, into, 512); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGetMissing(b *testing.B) {
	p := open(b, guest(b, "hostile"), quiet()) // answers at once
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Get(ctx, benchKey, actCode+1); err != store.ErrNotFound {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	p := benchPlugin(b, "store", 0)
	w := store.Write{Key: benchKey, Value: make([]byte, 300), Now: 1}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Set(ctx, w); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetParallel(b *testing.B) {
	config := quiet()
	config.Shards = 0
	p := open(b, guest(b, "store"), config)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		key := fmt.Appendf(nil, "key %028d", n.Add(1))
		if err := p.Set(ctx, store.Write{Key: key, Value: make([]byte, 300), Now: 1}); err != nil {
			b.Error(err)
			return
		}
		for pb.Next() {
			if _, err := p.Get(ctx, key, 1); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkBareCall measures the least that a get can take: writing the key, the call,
// reading the value, with nothing around it.
func BenchmarkBareCall(b *testing.B) {
	for name, config := range map[string]wazero.RuntimeConfig{
		"plain": wazero.NewRuntimeConfig(), "closing": wazero.NewRuntimeConfig().WithCloseOnContextDone(true),
	} {
		b.Run(name, func(b *testing.B) {
			r := wazero.NewRuntimeWithConfig(ctx, config)
			defer r.Close(ctx)
			m, err := r.Instantiate(ctx, guest(b, "store"))
			require.NoError(b, err)
			const buffer = 1024
			set, get := m.ExportedFunction(abi.ExportSet), m.ExportedFunction(abi.ExportGet)
			mem := m.Memory()
			require.True(b, mem.Write(buffer, append(append([]byte(nil), benchKey...), make([]byte, 300)...)))
			_, err = set.Call(ctx, buffer, 32, buffer+32, 300, 0, 1, 0)
			require.NoError(b, err)
			stack := make([]uint64, 8)
			c, cancel := withTimeout(time.Hour)
			defer cancel()
			if name == "plain" {
				c = ctx
			}
			b.ReportAllocs()
			for b.Loop() {
				mem.Write(buffer, benchKey)
				stack[0], stack[1], stack[2] = buffer, 32, 1
				if err := get.CallWithStack(c, stack); err != nil {
					b.Fatal(err)
				}
				ptr, n := abi.Unpack(int64(stack[0]))
				v, ok := mem.Read(ptr, n)
				if !ok {
					b.Fatal("out of range")
				}
				value := make([]byte, len(v))
				copy(value, v)
				sink = value
			}
		})
	}
}

var sink []byte

func BenchmarkOpen(b *testing.B) {
	wasm := guest(b, "store")
	config := quiet()
	config.Shards = 1
	open(b, wasm, config) // compiles the code
	b.ReportAllocs()
	for b.Loop() {
		p, err := plugin.Open(ctx, wasm, config)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNetwork is a round trip to a server on the same machine, in each way to wait, and natively.
func BenchmarkNetwork(b *testing.B) {
	address := listen(b, func(c net.Conn) { _, _ = io.Copy(c, c) })
	line := []byte("quack\n")
	b.Run("native", func(b *testing.B) {
		c, err := net.Dial("tcp", address)
		require.NoError(b, err)
		defer c.Close()
		answer := make([]byte, 100)
		for b.Loop() {
			_, _ = c.Write(line)
			_, _ = c.Read(answer)
		}
	})
	for how, trust := range trusts {
		config := reaching("tcp://" + address)
		trust(&config)
		g := openNetCalls(b, config)
		fd := g.connect("tcp://" + address)
		g.put(netData, line)
		const list, out, count = netData + 0x1000, netData + 0x2000, netData + 0x3000
		g.put(list, append(pollSocket(7, fd, false), pollClock(8, 1<<40)...))
		write := netCall("conn_write", fd, netData, uint64(len(line)), waitLong)
		read := netCall("conn_read", fd, netData+0x100, 100, waitLong)
		poll := netCall("poll_oneoff", list, out, 2, count)
		for name, calls := range map[string][][]byte{"blocking": {write, read}, "polling": {write, poll, read}, "a call that fails": {netCall("conn_read", 0, netData, 1, 0)}} {
			b.Run(how+", "+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					for _, block := range calls {
						if _, err := g.p.Get(ctx, block, 1); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
