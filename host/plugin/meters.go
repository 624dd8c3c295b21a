package plugin

import (
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
)

// meters is what the meters of a plugin's instances have in common. Nil is for a guest
// that is not metered.
type meters struct {
	shards    []shardFuel
	allowance *allowance // nil for no bound per second
	limits    *limitCounts
}

// shardFuel is how much fuel the instances of a shard have used, one after the other.
// Only one of them writes at a time.
type shardFuel struct {
	used atomic.Uint64
	_    [56]byte // so that no two shards share a cache line
}

func newMeters(c *resolved, limits *limitCounts) *meters {
	if c.Trusted {
		return nil
	}
	m := &meters{shards: make([]shardFuel, c.Shards), limits: limits}
	if c.FuelRate > 0 {
		m.allowance = newAllowance(c.FuelRate, c.FuelBurst, c.passed)
	}
	return m
}

func (m *meters) add(shard int, fuel int64) { m.shards[shard].used.Add(uint64(fuel)) }

func (m *meters) spend(fuel int64) {
	if m.allowance != nil {
		m.allowance.spend(fuel)
	}
}

func (m *meters) used(shard int) uint64 {
	if m == nil {
		return 0
	}
	return m.shards[shard].used.Load()
}

// allow refuses an operation if the guest has used its fuel faster than it may.
func (m *meters) allow() *protocol.Failure {
	wait := m.allowance.wait()
	if wait == 0 {
		return nil
	}
	a := m.allowance
	m.limits.count(LimitRate)
	return &protocol.Failure{Kind: ErrRate, Limit: LimitRate, RetryAfter: wait, Allowed: a.rate, Used: max(-a.left.Load(), 0)}
}
