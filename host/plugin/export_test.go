package plugin

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// OpenInterpreted is Open with the interpreter, as on a platform without a
// compiler.
func OpenInterpreted(ctx context.Context, wasm []byte, config Config) (*Plugin, error) {
	config.Host = interpreting()
	return Open(ctx, wasm, config)
}

var interpreting = sync.OnceValue(func() *Host {
	return newHost(HostConfig{}, "/", func() runtimeKind { return runtimeInterpreter })
})

// MaxChunks bounds an enumeration of one shard, MaxBuffer the exchange buffer.
const (
	MaxChunks = protocol.MaxChunks
	MaxBuffer = maxBuffer
)

// SharedCode is how many modules are compiled at this moment.
func SharedCode() int { return DefaultHost().codes.count() }

// SetSetting changes what instances that are opened from now on are told.
func (p *Plugin) SetSetting(name, value string) {
	p.config.GuestConfig = map[string]string{name: value}
}

// TellCopied tells a new instance that it is a copy.
func (p *Plugin) TellCopied() error {
	made, err := newInstance(&p.machine, 0)
	if err != nil {
		return err
	}
	defer made.Close()
	if err := made.Initialize(); err != nil {
		return err
	}
	return made.Copied()
}

// SetDeadline changes how long calls may take from now on, if there is a deadline.
func (p *Plugin) SetDeadline(d time.Duration) {
	p.machine.allowed.Store(&bounds{fuel: p.config.Fuel, time: d})
}

// Deadlines are how long a call may take, and a step of opening; 0 for no bound.
func (p *Plugin) Deadlines() (call, open time.Duration) {
	return p.machine.callAllowed().time, p.machine.openAllowed.time
}

// Rounds is how often a host has done what goes on beside operations.
func (h *Host) Rounds() uint64 {
	h.schedule.mu.Lock()
	defer h.schedule.mu.Unlock()
	return h.schedule.rounds
}

// Hurry shortens how long a plugin waits for what does not come back.
func Hurry(c *Config, patience, closeGrace time.Duration) {
	c.patience, c.closeGrace = patience, closeGrace
}

// HurrySequences shortens how long a guest may take for calls that it decides the
// number of.
func HurrySequences(c *Config, most time.Duration) { c.sequence = most }

// CountEvery says how often a guest is asked what it evicted.
func CountEvery(c *Config, interval time.Duration) { c.countInterval = interval }

// Root says where /proc and /sys are.
func Root(c *Config, dir string) { c.root = dir }

// Passed puts a clock that cannot leap in the place of the machine's.
func Passed(c *Config, passed func() time.Duration) { c.passed = passed }

// Fail has the instance of a shard fail, as a trap would, so often that the next attempt
// is some seconds away.
func (p *Plugin) Fail(shard int) {
	for range 9 {
		p.store.Poison(shard, &protocol.Fault{Kind: ErrTrap})
	}
}

// MountQuota is what a mount may have.
func (p *Plugin) MountQuota(i int) (bytes, files int64) {
	m := p.config.Mounts[i]
	return m.MaxBytes, m.MaxFiles
}

// ExtraGrant is a permission that a test adds to those of the host: function, of
// module waddle_v1, without parameters and without a result. It counts what the
// host does for it.
type ExtraGrant struct {
	Opened, Attached, Closed, Called atomic.Int64
	Fault                            error         // what opening it fails with
	Waits                            time.Duration // that its function seems to take
	Does                             func()        // what its function does besides
}

// Add gives the host of a config the row, and grants it or does not.
func (g *ExtraGrant) Add(c *Config, function string, granted bool) {
	row := &permission{
		name: "extra", meaning: "count calls",
		functions: waddleFunction(function, g.call),
		grant: &grant{
			field: "Extra", given: func(*Config) bool { return granted },
			open:  func(context.Context, *Plugin) error { g.Opened.Add(1); return g.Fault },
			close: func(*Plugin) error { g.Closed.Add(1); return nil },
		},
		attach: func(_ *executor, config wazero.ModuleConfig) wazero.ModuleConfig { g.Attached.Add(1); return config },
	}
	c.permissions = append(slices.Clone(builtinPermissions()), row)
}

func (g *ExtraGrant) call(ctx context.Context, _ api.Module, _ []uint64) {
	g.Called.Add(1)
	if g.Does != nil {
		g.Does()
	}
	if m := instanceOf(ctx).meter; m != nil && g.Waits > 0 {
		m.wait()
		m.entered = m.entered.Add(-g.Waits)
		m.waitEnds()
	}
}

// CompileSomething takes the place of a module whose compiling is estimated at that cost.
func (h *Host) CompileSomething(ctx context.Context, cost int64) (leave func(), err error) {
	return h.queue.enter(ctx, cost)
}

// FitsMetered reports whether a module with meters is within the limits of compiling.
func FitsMetered(wasm []byte, l Limits) bool {
	metered, _, err := rewrite.Module(wasm, (&resolved{}).rewriting())
	return err == nil && checkMetered(metered, l.orDefault()) == nil
}

// MeteredCost is the estimate of what it takes to compile a module with meters.
func MeteredCost(wasm []byte) int64 {
	metered, _, err := rewrite.Module(wasm, rewrite.Options{Meter: true})
	if err != nil {
		return 0
	}
	cost, _ := meteredCost(metered, DefaultLimits())
	return cost
}

// Sharing says whether executors can be shared in this process.
func Sharing() (bool, error) {
	s := resolved{Config: Config{Shared: true, Host: DefaultHost()}}
	s.resolveShared()
	if s.notShared != "" {
		return false, errors.New(s.notShared)
	}
	return true, nil
}

// LimitExecutors bounds how many executors the plugin's module has.
func (p *Plugin) LimitExecutors(n int) { p.machine.pool.most = n }

// MemoryOf returns all bytes of the memory of a shared plugin that is awake, and nil of one that
// sleeps, and its globals as they are when it is on no executor.
func (p *Plugin) MemoryOf() (memory []byte, globals []uint64) {
	p.store.TryIdle(0, func(inst protocol.Instance) {
		s := inst.(*seat)
		s.pool.leave(s)
		memory, globals = bytes.Clone(s.room.view), slices.Clone(s.globals)
	})
	return memory, globals
}

// Poison ends the instance of a plugin's first shard, as if it had failed.
func (p *Plugin) Poison() {
	p.store.Poison(0, &protocol.Fault{Kind: ErrTrap, Message: "poisoned"})
}

// WithoutNetwork makes a config that of a host which does not know of networks.
func WithoutNetwork(c *Config) {
	c.permissions = slices.DeleteFunc(slices.Clone(builtinPermissions()), func(p *permission) bool { return p.name == "network" })
}
