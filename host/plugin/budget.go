package plugin

import (
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// ErrBudget is returned when the plugins of a [Host] have used up something that they
// share: memory, address space, mappings or handles.
var ErrBudget = protocol.ErrBudget

// budget bounds how much all plugins of a host take of one thing.
type budget struct {
	what   string // the thing, in the plural
	field  string // of HostConfig
	source string // of the limit, if it follows from the machine
	limit  int64  // less than 0 for none
	used   atomic.Int64

	// reclaim makes room for n more and takes it, if it can. Nil makes none.
	reclaim func(n int64) bool
	name    Limit
}

// take takes n. If that is too much, and no room can be made, it takes nothing and returns
// [ErrBudget].
func (b *budget) take(n int64) error {
	if b.tryTake(n) || n <= b.limit && b.reclaim != nil && b.reclaim(n) {
		return nil
	}
	return b.spent(n, b.used.Load())
}

// takeFree is take without making room.
func (b *budget) takeFree(n int64) error {
	if b.tryTake(n) {
		return nil
	}
	return b.spent(n, b.used.Load())
}

func (b *budget) tryTake(n int64) bool {
	if used := b.used.Add(n); b.limit >= 0 && used > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// give gives back what was taken.
func (b *budget) give(n int64) {
	b.used.Add(-n)
}

func (b *budget) spent(wanted, used int64) error {
	allowed := fmt.Sprintf("HostConfig.%s is %d", b.field, b.limit)
	if b.source != "" {
		allowed = fmt.Sprintf("HostConfig.%s is %d by default (%s)", b.field, b.limit, b.source)
	}
	return &refusal{b.name, b.limit, used + wanted, fmt.Errorf("%w: %d more %s are wanted, plugins of this host have %d, and %s: close plugins, let idle ones sleep (Config.SleepAfter), "+
		"or raise HostConfig.%s", ErrBudget, wanted, b.what, used, allowed, b.field)}
}

// Usage is how much of a budget is used.
type Usage struct {
	Used  int64
	Limit int64 // less than 0 for none
}

// spentOf returns the message of an [ErrBudget] without its prefix.
func spentOf(err error) string { return strings.TrimPrefix(err.Error(), ErrBudget.Error()+": ") }

func (b *budget) usage() Usage { return Usage{b.used.Load(), b.limit} }

// budgets holds the budgets of a host.
type budgets struct {
	memory   *budget // bytes that guests have taken, and that are kept for those that sleep
	space    *budget // bytes of address space that are reserved for them
	mappings *budget
	handles  *budget

	conns     *network.Host
	mostConns int64 // less than 0 for no bound
}

// account charges what one plugin takes to its host's budgets. The zero value has no
// bounds.
type account struct {
	budgets *budgets
	limits  *limitCounts // of the plugin
}

// charge takes n from a budget, and counts if that is refused.
func (a account) charge(b *budget, n int64) error {
	err := b.take(n)
	if err != nil {
		a.limits.count(b.name)
	}
	return err
}

func (a account) take(bytes uint64) error {
	if a.budgets == nil {
		return nil
	}
	return a.charge(a.budgets.memory, int64(bytes))
}

// takeFree takes memory without making room for it.
func (a account) takeFree(bytes uint64) error {
	if a.budgets == nil {
		return nil
	}
	return a.budgets.memory.takeFree(int64(bytes))
}

// keep takes memory for records of a guest that sleeps.
func (a account) keep(bytes int) error {
	if err := a.take(uint64(bytes)); err != nil {
		r := refusalOf(err)
		return &protocol.Fault{Kind: ErrBudget, Limit: r.limit, Allowed: r.allowed, Used: r.used, Message: spentOf(err) + "; the guest does not sleep, since the host would keep its records in memory"}
	}
	return nil
}

// beyond is the error of a memory that would become larger than it may.
func (a account) beyond(size, limit uint64) error {
	a.limits.count(LimitMemory)
	return &refusal{LimitMemory, int64(limit), int64(size), fmt.Errorf("%d bytes: may be at most %d, the instance's part of Config.MemoryLimit", size, limit)}
}

func (a account) give(bytes uint64) {
	if a.budgets != nil {
		a.budgets.memory.give(int64(bytes))
	}
}

// takeSpace and giveSpace are for the address space that the memory may grow into.
func (a account) takeSpace(bytes uint64) error {
	if a.budgets == nil {
		return nil
	}
	if err := a.charge(a.budgets.mappings, mappingsOfMemory); err != nil {
		return err
	}
	if err := a.charge(a.budgets.space, int64(bytes)); err != nil {
		a.budgets.mappings.give(mappingsOfMemory)
		return err
	}
	return nil
}

func (a account) giveSpace(bytes uint64) {
	if a.budgets != nil {
		a.budgets.mappings.give(mappingsOfMemory)
		a.budgets.space.give(int64(bytes))
	}
}

const (
	// mappingsOfMemory is how many mappings an instance's memory has: the usable part
	// and the reserved rest. Compiled code has one or two.
	mappingsOfMemory = 2
	mappingsOfCode   = 2

	// budgetMemory is the part of the process's memory that all guests get together.
	// The rest is for Go and for what else the kernel counts.
	budgetMemory = 0.75
	// budgetMappings and budgetHandles leave room for the program itself: for Go's heap,
	// and for connections, each of which takes a handle.
	budgetMappings = 0.75
	budgetHandles  = 0.5
	budgetConns    = 0.25

	// mostSpace is half of the address space of a process with 47 bits of it.
	mostSpace = 1 << 46
)

func (c HostConfig) budgets(root string) *budgets {
	m := limitsOfMachine(root)
	b := &budgets{
		memory:    newBudget(LimitHostMemory, "bytes of memory", "Memory", c.Memory, m.memory, budgetMemory),
		space:     newBudget(LimitAddressSpace, "bytes of address space", "AddressSpace", c.AddressSpace, m.space, 1),
		mappings:  newBudget(LimitMappings, "memory mappings", "Mappings", int64(c.Mappings), m.mappings, budgetMappings),
		handles:   newBudget(LimitHandles, "file handles", "Handles", int64(c.Handles), m.handles, budgetHandles),
		mostConns: newBudget("", "", "", int64(c.MaxConns), m.handles, budgetConns).limit,
	}
	most := b.mostConns
	if most < 0 {
		most = math.MaxInt
	}
	b.conns = network.NewHost(int(most))
	return b
}

// connections returns how many connections there are.
func (b *budgets) connections() Usage {
	return Usage{Used: int64(b.conns.Conns()), Limit: b.mostConns}
}

func newBudget(name Limit, what, field string, said int64, found machineLimit, part float64) *budget {
	b := &budget{what: what, field: field, limit: said, name: name}
	if said != 0 {
		return b
	}
	b.limit = -1
	if found.limit > 0 {
		b.limit, b.source = int64(float64(found.limit)*part), fmt.Sprintf("%.0f %% of %d, which is %s", 100*part, found.limit, found.source)
	}
	return b
}

// machineLimit is a limit that the machine sets this process, 0 if it is not known.
type machineLimit struct {
	limit  int64
	source string
}
type machineLimits struct{ memory, space, mappings, handles machineLimit }
