package plugin

import (
	"time"

	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// OpStats counts one operation.
type OpStats struct {
	Calls     uint64 // of any outcome
	NotFound  uint64 // answers NOT_FOUND: a session that is not there, no fault
	Conflicts uint64 // answers CONFLICT: another request was faster, and the change is made again
	Errors    uint64 // all other answers that are errors, and failures
}

func (o *OpStats) add(other OpStats) {
	o.Calls += other.Calls
	o.NotFound += other.NotFound
	o.Conflicts += other.Conflicts
	o.Errors += other.Errors
}

// States of a shard.
const (
	StateRunning = "running"
	StateWaiting = "waiting" // the instance failed; another attempt follows
	StateClosed  = "closed"
)

// ShardStats is the state of one shard.
type ShardStats struct {
	State string
	// Busy says that the shard was within a call; the other figures are then
	// those that were seen last.
	Busy        bool
	Memory      int64 // bytes that the instance has taken
	MemoryLimit int64
	Restarts    uint64 // instances after the first one
	Failures    int    // in a row
	RetryAfter  time.Duration
	LastError   string // of the last failure; it stays when the shard runs again
	Ops         map[string]OpStats
	Counts      Counts // what the guest tells of itself
}

// Stats is the state of a plugin, with counts since it was opened.
type Stats struct {
	// Engine is "compiler" or "interpreter".
	Engine string
	// CompileTime is how long it took to have the code ready; CodeSource
	// says where from: "compiled", "directory" or, if another plugin of the
	// process runs the same module, "memory".
	CompileTime time.Duration
	CodeSource  string

	Ops             map[string]OpStats // by name of operation, over all shards
	Calls, Errors   uint64             // of all operations
	Restarts        uint64
	Waiting         int   // shards that wait for another attempt
	Memory          int64 // bytes that all instances have taken
	MemoryLimit     int64
	DroppedLogLines uint64
	Counts          Counts // what the guest tells of itself, over all shards
	Shards          []ShardStats
}

// Stats returns the state of the plugin. It does not wait for a call that runs;
// a guest that tells what it holds is asked for it, in one short call a shard.
func (p *Plugin) Stats() Stats {
	out := Stats{
		Engine:          p.engine.String(),
		CompileTime:     p.compileTime,
		CodeSource:      p.codeSource,
		Ops:             make(map[string]OpStats, numOps),
		MemoryLimit:     p.config.shardLimit * int64(len(p.shards)),
		DroppedLogLines: p.guestLog.lost(),
		Shards:          make([]ShardStats, len(p.shards)),
	}
	p.statsMu.Lock()
	defer p.statsMu.Unlock()
	for i, s := range p.shards {
		seen := &p.lastStats[i]
		if seen.Busy = !s.tryStats(seen); seen.Busy && seen.Ops == nil {
			seen.State, seen.MemoryLimit = StateRunning, p.config.shardLimit
		}
		out.Shards[i] = *seen
		out.Restarts += seen.Restarts
		out.Memory += seen.Memory
		out.Counts.add(seen.Counts)
		if seen.State == StateWaiting {
			out.Waiting++
		}
		for name, o := range seen.Ops {
			sum := out.Ops[name]
			sum.add(o)
			out.Ops[name] = sum
			out.Calls += o.Calls
			out.Errors += o.Errors
		}
	}
	return out
}

// tryStats looks at the shard, for a moment also if it is in use.
func (s *shard) tryStats(out *ShardStats) bool {
	for wait := time.Microsecond; !s.mu.TryLock(); wait *= 2 {
		if wait > 256*time.Microsecond {
			return false
		}
		time.Sleep(wait)
	}
	defer s.mu.Unlock()
	s.count()
	*out = ShardStats{
		State:       StateRunning,
		MemoryLimit: s.plugin.config.shardLimit,
		Restarts:    s.restarts,
		Failures:    s.failures,
		LastError:   s.lastErr,
		Ops:         make(map[string]OpStats, numOps),
		Counts:      s.counted.total(),
	}
	switch {
	case s.closed:
		out.State = StateClosed
	case s.in == nil:
		out.State = StateWaiting
		out.RetryAfter = max(0, s.retryAt.Sub(s.plugin.config.Now()))
	default:
		out.Memory = int64(s.in.mem.Size())
	}
	for op, o := range s.ops {
		out.Ops[opKind(op).String()] = o
	}
	return true
}

// Info is what is known of a guest from its module and its own description.
type Info struct {
	Name         string // as in logs and errors
	EngineName   string // as the guest describes itself, "" if it does not
	Version      string // the same
	Capabilities []string
	MaxKey       int // bytes
	MaxValue     int
	Shards       int
	ShardMemory  int64 // bytes that each instance may take
	Module       *preflight.Module
}

// Info returns what is known of the guest. The module's outline is shared and
// must not be changed.
func (p *Plugin) Info() Info {
	out := p.info
	out.Capabilities = append([]string(nil), out.Capabilities...)
	return out
}
