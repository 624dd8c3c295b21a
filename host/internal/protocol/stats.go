package protocol

import (
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// opKind numbers the operations for their counters.
type opKind int

const (
	opGet opKind = iota
	opSet
	opTouch
	opDelete
	opClear
	opSave
	opSweep
	opFlush
	opKeys
	opSnapshot
	opRestore
	opIdle
	numOps
)

// A flush is the host's own: it saves a store in steps. So is giving a guest time.
var opNames = [numOps]store.Op{opGet: store.OpGet, opSet: store.OpSet, opTouch: store.OpTouch, opDelete: store.OpDelete,
	opClear: store.OpClear, opSave: store.OpSave, opSweep: store.OpSweep, opFlush: "flush", opKeys: store.OpKeys,
	opSnapshot: store.OpSnapshot, opRestore: store.OpRestore, opIdle: "idle"}

func (o opKind) String() string { return string(opNames[o]) }

// OpStats counts one operation. The answers NOT_FOUND and CONFLICT are not Errors. Calls
// includes all of them.
type OpStats struct {
	Calls, NotFound, Conflicts, Errors uint64
	Fuel                               uint64
}

// State is the state of a shard.
type State int

// States of a shard.
const (
	Running State = iota
	Backoff       // the instance failed; another attempt follows
	Resting       // it was never open, or sleeps
	Closed
)

// ShardStats is the state of one shard.
type ShardStats struct {
	State State
	// Seen says that the figures were ever read. Busy says that the shard was in a
	// call, so that the figures are the last ones read.
	Seen, Busy bool
	Memory     int64 // bytes that the instance has taken
	Restarts   uint64
	Failures   int // in a row
	RetryAfter time.Duration
	LastError  string
	OpenFuel   uint64 // that starting the instance used
	Ops        map[string]OpStats
	Counts     Counts
}

// Stats returns the state of each shard. It does not wait for running calls. It
// asks a guest that reports counts for them, in one short call per shard.
func (st *Store) Stats() []ShardStats {
	st.statsMu.Lock()
	defer st.statsMu.Unlock()
	for i, s := range st.shards {
		st.lastStats[i].Busy = !s.tryStats(&st.lastStats[i])
	}
	return append([]ShardStats(nil), st.lastStats...)
}

// Total adds up the counts of shards.
func (st *Store) Total(shards []ShardStats) Counts {
	all := make([]Counts, len(shards))
	for i := range shards {
		all[i] = shards[i].Counts
	}
	return st.total(all)
}

// tryStats reads the shard's state. If the shard is in use it tries only for a moment.
func (s *shard) tryStats(out *ShardStats) bool {
	for wait := time.Microsecond; !s.mu.TryLock(); wait *= 2 {
		if wait > 256*time.Microsecond {
			return false
		}
		time.Sleep(wait)
	}
	defer s.unlock()
	s.askCounts()
	*out = ShardStats{
		Seen:      true,
		Restarts:  s.restarts,
		Failures:  s.failures,
		LastError: s.lastErr,
		Ops:       make(map[string]OpStats, numOps),
		Counts:    s.counted.total(),
	}
	switch {
	case s.closed:
		out.State = Closed
	case s.aside != nil:
		out.State = Resting
	case s.inst != nil:
		out.Memory = s.inst.Memory()
		s.inst.Fuel()
		out.OpenFuel = s.openFuel
	case s.resting() && s.failures+s.refusals == 0:
		out.State = Resting
	default:
		out.State = Backoff
		out.RetryAfter = max(0, s.retryAt.Sub(s.store.config.Now()))
	}
	for op, o := range s.ops {
		out.Ops[opKind(op).String()] = o
	}
	return true
}
