package plugin

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/plugin/internal/fair"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
	"github.com/waddle-sessions/waddle/host/store"
)

// HostConfig bounds what all plugins of a [Host] take together. 0 takes the bound from
// the machine, and less than 0 means no bound. If a system does not tell what it has,
// there is no bound by default.
//
// Going beyond a bound fails with [ErrBudget], which names the bound: an instance does
// not start until there is room, a guest's memory does not grow, and an instance does not
// sleep if the host would have to keep its records.
type HostConfig struct {
	// Memory is how many bytes of memory guests may have, together with the records that
	// the host keeps for those that sleep. 0 means three quarters of what the process may
	// have: what its control group or GOMEMLIMIT allows, or else what the machine has.
	Memory int64

	// AddressSpace is how many bytes may be reserved for guests. 0 means half of what
	// the process can have.
	AddressSpace int64

	// Mappings is how many memory mappings guests may have: two for an instance and two
	// for a module. 0 means three quarters of vm.max_map_count.
	Mappings int

	// Handles is how many files and directories may be open for guests, including
	// those of the mounts themselves. 0 means half of RLIMIT_NOFILE.
	Handles int

	// MaxConns is how many connections all guests together may have, open or being made. 0 means a
	// quarter of RLIMIT_NOFILE. A guest that may have no more gets EMFILE.
	MaxConns int

	// Private bounds [Network].Private for all plugins of the host: what a plugin lists must lie
	// within it, or the plugin is refused. Nil means no bound, and an empty list that no plugin
	// reaches anything that is not public.
	Private []netip.Prefix

	// Compiling is how many modules are compiled at once, each by one core, but for one that is part of the
	// program (see [OpenEmbedded]) while no plugin is open: that is compiled by so many cores, and by all if it is 0. Others wait, as
	// long as their contexts last. One more is compiled beside them if it takes no more than
	// about two seconds, or a tenth of one where no core would be left. Code from a directory
	// waits for nobody. 0 means half of GOMAXPROCS, and at least 1.
	Compiling int

	// Parallel is how many calls of guests run at once. Beyond it, calls wait, and the plugin
	// that has used the least fuel runs next. Calls that run for longer than a quarter of a
	// millisecond take turns of a millisecond on all but one of these places, and the last
	// one is kept for shorter calls. 0 means GOMAXPROCS at the time of NewHost, from when a call runs
	// for longer than a tenth of a millisecond until no call waits any more.
	Parallel int

	// Awake is how many plugins that share instances (see [Config].Shared) have a memory at
	// once; of one with shards, each counts. Before there are more, the one that was used
	// least recently is put to sleep. If all are in calls, there are more for as long as that takes. 0
	// means no bound but the others: before Memory, AddressSpace or Mappings refuses
	// anything, such plugins are put to sleep in the same order, and what they take is
	// counted to the page.
	Awake int
}

// Host owns what plugins share: compiled code, budgets of memory, mappings and
// handles, and the scheduler that sweeps and saves for all of them. Plugins use the
// default host unless [Config.Host] names another one.
//
// A Host may be used by many goroutines at once.
type Host struct {
	runtime  func() runtimeKind
	budgets  *budgets
	schedule *scheduler
	turns    *fair.Dispatcher
	seats    *seats
	codes    codes
	compiled atomic.Uint64 // how often code was compiled, or read from a directory
	limits   limitCounts
	queue    *compiling
	private  []netip.Prefix // see HostConfig

	mu      sync.Mutex
	closed  bool
	plugins map[*Plugin]struct{}
}

// NewHost makes a host. Close it when it is no longer needed.
func NewHost(config HostConfig) *Host {
	return newHost(config, "/", bestRuntime)
}

func newHost(config HostConfig, root string, kind func() runtimeKind) *Host {
	b := config.budgets(root)
	return &Host{private: slices.Clone(config.Private), runtime: sync.OnceValue(kind), budgets: b, seats: newSeats(config.Awake, b), queue: newCompiling(config.Compiling, runtime.GOMAXPROCS(0)),
		schedule: newScheduler(), turns: newDispatcher(config.Parallel),
		codes: codes{all: make(map[codeKey]*code)}, plugins: make(map[*Plugin]struct{})}
}

// defaultHost is the host of plugins that name none. It lives as long as the process,
// and holds nothing while there are no plugins.
var defaultHost = sync.OnceValue(func() *Host { return NewHost(HostConfig{}) })

// DefaultHost returns the host of plugins that name no other. It cannot be closed.
func DefaultHost() *Host { return defaultHost() }

// HostStats counts what a host has at this moment.
type HostStats struct {
	Plugins  int    // open plugins
	Modules  int    // modules with compiled code
	Compiled uint64 // how often the host has compiled code or read it from a directory
	Tasks    int    // of the scheduler: sweeping, saving and the like

	Memory, AddressSpace, Mappings, Handles Usage

	// Connections are those of all guests.
	Connections Usage

	Shared SharedStats

	// Compiling is how many modules are being compiled, or wait for that.
	Compiling Usage

	// Limits counts how often each limit was exceeded since the host was made: its own, and
	// those of its plugins, also of closed ones and of modules that it refused. What was never
	// exceeded is not in it.
	Limits map[Limit]uint64

	Turns Turns
}

// SharedStats counts guests that take turns on instances, of plugins with [Config].Shared.
type SharedStats struct {
	Executors int    // instances that they take turns on
	Awake     int    // guests that have a memory
	Asleep    int    // guests of which what they have changed is kept
	Wakes     uint64 // how often one was woken
	Switches  uint64 // how often an instance was given to another guest
}

// Turns are the turns of guests' calls; see [HostConfig].Parallel.
type Turns struct {
	Running int // calls that have a turn
	Long    int // of these, calls that run for longer than a moment
	Waiting int // calls that wait for a turn
	// Engaged says that calls take turns. As long as all are short, they do not.
	Engaged bool
}

// Stats returns the host's counts and budgets.
func (h *Host) Stats() HostStats {
	return HostStats{Plugins: h.open(), Modules: h.codes.count(), Compiled: h.compiled.Load(), Tasks: h.schedule.count(),
		Memory: h.budgets.memory.usage(), AddressSpace: h.budgets.space.usage(),
		Mappings: h.budgets.mappings.usage(), Handles: h.budgets.handles.usage(), Compiling: h.queue.usage(), Connections: h.budgets.connections(),
		Limits: h.limits.exceeded(), Turns: Turns(h.turns.Stats()), Shared: h.shared()}
}

// Close closes all plugins of the host, as [Plugin.Close] does. From then on it refuses
// others with [store.ErrClosed]. Callers of Compile must close their modules
// themselves.
func (h *Host) Close(ctx context.Context) error {
	if h == defaultHost() {
		return configError("the default host cannot be closed: close its plugins, or make a host with NewHost")
	}
	h.mu.Lock()
	h.closed = true
	plugins := make([]*Plugin, 0, len(h.plugins))
	for p := range h.plugins {
		plugins = append(plugins, p)
	}
	h.mu.Unlock()
	var wait sync.WaitGroup
	errs := make([]error, len(plugins))
	turns := make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	for i, p := range plugins {
		turns <- struct{}{}
		wait.Go(func() {
			defer func() { <-turns }()
			errs[i] = p.Close(ctx)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// refuses returns why the host can open nothing, or nil.
func (h *Host) refuses(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return store.ErrClosed
	}
	return ctx.Err()
}

// refused completes an error of opening a plugin: with its name, and with the limit that is
// exceeded. It counts those of modules, which nobody else does.
func (h *Host) refused(err *error, name string) {
	var e *LoadError
	if !errors.As(*err, &e) {
		return
	}
	e.Plugin = cmp.Or(e.Plugin, name)
	switch {
	case errors.Is(e.Err, preflight.ErrTooCostly):
		e.Limit = LimitCompile
		h.limits.count(LimitCompile)
	case errors.Is(e.Err, preflight.ErrTooBig):
		e.Limit = LimitModule
		h.limits.count(LimitModule)
	default:
		e.Limit = limitIn(e.Err)
	}
}

// open returns how many plugins are open.
func (h *Host) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.plugins)
}

// enter and leave keep track of open plugins.
func (h *Host) enter(p *Plugin) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return store.ErrClosed
	}
	h.plugins[p] = struct{}{}
	return nil
}

func (h *Host) leave(p *Plugin) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.plugins, p)
}
