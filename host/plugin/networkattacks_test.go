package plugin_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// attacksOnNetworks are guests that abuse a network for as long as they can. A server on this machine
// takes every connection and says nothing.
func attacksOnNetworks() (all []attack) {
	forever := func(name string, args ...uint64) []byte {
		return append(netBlock(netLoop), netCall(name, args...)...)
	}
	for _, c := range []struct {
		name string
		is   error
		run  func(p *plugin.Plugin, address []byte) error
	}{
		{"addresses that it is not granted", plugin.ErrFuel, func(p *plugin.Plugin, _ []byte) error {
			return putAndGet(p, netData, []byte("tcp://169.254.169.254:80"), forever("dial", netData, 24))
		}},
		{"more connections than it may have", plugin.ErrFuel, func(p *plugin.Plugin, address []byte) error {
			return putAndGet(p, netData, address, forever("dial", netData, uint64(len(address))))
		}},
		{"connections that are made and closed", plugin.ErrFuel, func(p *plugin.Plugin, address []byte) error {
			for {
				block := append(netBlock(netRepeat, 1000), netCall("dial", netData, uint64(len(address)))...)
				if err := putAndGet(p, netData, address, block); err != nil {
					return err
				}
				for fd := uint64(abi.FirstConn); fd < abi.FirstConn+100; fd++ {
					_, _ = p.Get(ctx, netCall("conn_close", fd), 1)
				}
				if p.Stats().Fuel > 1<<32 {
					return putAndGet(p, netData, address, forever("dial", netData, uint64(len(address))))
				}
			}
		}},
		{"a poll of thousands of descriptors", plugin.ErrFuel, func(p *plugin.Plugin, address []byte) error {
			list := slices.Concat(slices.Repeat([][]byte{pollSocket(7, abi.FirstConn, false)}, 1300)...)
			return putAndGet(p, netData+0x1000, list, forever("poll_oneoff", netData+0x1000, netData+0x80000, 1300, netData))
		}},
		{"a server that never answers", plugin.ErrDeadline, func(p *plugin.Plugin, address []byte) error {
			if err := putAndGet(p, netData, address, netCall("dial", netData, uint64(len(address)))); err != nil {
				return err
			}
			_, err := p.Get(ctx, forever("conn_read", abi.FirstConn, netData, 1, waitLong), 1)
			return err
		}},
		{"a server that reads nothing", plugin.ErrDeadline, func(p *plugin.Plugin, address []byte) error {
			if err := putAndGet(p, netData, address, netCall("dial", netData, uint64(len(address)))); err != nil {
				return err
			}
			_, err := p.Get(ctx, forever("conn_write", abi.FirstConn, 0, 1<<16, waitLong), 1)
			return err
		}},
	} {
		all = append(all, attack{abuse, c.name, boundRunning + testMemory, fixture("netcalls"), func(wasm []byte) error {
			return abuseNetwork(wasm, c.is, c.run)
		}})
	}
	return all
}

// putAndGet writes to the guest's memory, and makes a call.
func putAndGet(p *plugin.Plugin, at uint32, b, call []byte) error {
	if err := p.Set(ctx, store.Write{Key: binary.LittleEndian.AppendUint32(nil, at), Value: b, Now: 1}); err != nil {
		return fmt.Errorf("set: %v", err)
	}
	_, err := p.Get(ctx, call, 1)
	return err
}

// abuseNetwork runs an attack that must end with an error of that kind.
func abuseNetwork(wasm []byte, is error, run func(p *plugin.Plugin, address []byte) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	config := reaching("tcp://" + l.Addr().String())
	config.Trusted, config.MemoryLimit, config.Network.Wait = false, testMemory, 100*time.Millisecond
	if is == plugin.ErrFuel {
		config.Fuel = 1 << 32
	}
	p, err := plugin.Open(ctx, wasm, config)
	if err != nil {
		return err
	}
	err = run(p, []byte(config.Network.Allow[0]))
	if !errors.Is(err, is) {
		return errors.Join(fmt.Errorf("an error of another kind than %q: %v", is, err), p.Close(ctx))
	}
	if err := readable(err); err != nil {
		return errors.Join(err, p.Close(ctx))
	}
	// Those that were being made end a moment later.
	for until := time.Now().Add(time.Minute); p.Stats().Network.Connections > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			return errors.Join(fmt.Errorf("%d connections are left", p.Stats().Network.Connections), p.Close(ctx))
		}
	}
	return p.Close(ctx)
}
