package plugin

import (
	"time"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
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
	StateResting = "resting" // no call needed it so far
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
		Engine:          p.config.Host.runtime().String(),
		CompileTime:     p.loading.took,
		CodeSource:      p.loading.source,
		Ops:             make(map[string]OpStats),
		MemoryLimit:     p.config.shardLimit * int64(p.config.Shards),
		DroppedLogLines: p.machine.log.lost(),
	}
	seen := p.store.Stats()
	for _, s := range seen {
		shard := p.shardStats(s)
		out.Shards = append(out.Shards, shard)
		out.Restarts += shard.Restarts
		out.Memory += shard.Memory
		if shard.State == StateWaiting {
			out.Waiting++
		}
		for name, o := range shard.Ops {
			sum := out.Ops[name]
			sum.add(o)
			out.Ops[name] = sum
			out.Calls += o.Calls
			out.Errors += o.Errors
		}
	}
	out.Counts = Counts(p.store.Total(seen))
	return out
}

var stateNames = map[protocol.State]string{
	protocol.Running: StateRunning, protocol.Waiting: StateWaiting, protocol.Resting: StateResting, protocol.Closed: StateClosed,
}

func (p *Plugin) shardStats(seen protocol.ShardStats) ShardStats {
	s := ShardStats{
		State:       stateNames[seen.State],
		Busy:        seen.Busy,
		Memory:      seen.Memory,
		MemoryLimit: p.config.shardLimit,
		Restarts:    seen.Restarts,
		Failures:    seen.Failures,
		RetryAfter:  seen.RetryAfter,
		LastError:   seen.LastError,
		Counts:      Counts(seen.Counts),
	}
	if seen.Ops != nil {
		s.Ops = make(map[string]OpStats, len(seen.Ops))
		for name, o := range seen.Ops {
			s.Ops[name] = OpStats(o)
		}
	}
	return s
}

// Counts are what a guest tells of itself with session_stats. Records and Bytes
// are what it holds now; Evicted and Expired count on over instances that were
// replaced, from what each told last.
type Counts struct {
	// Told says that the guest tells anything. The rest is zero otherwise.
	Told bool

	// Records are those that are stored, those among them that have expired
	// and were not found yet; Bytes is the space that they take, with all that
	// is kept for them. -1 stands for what the guest does not know: of a
	// shard, or of any of the shards.
	Records, Bytes int64

	// Evicted counts records that the guest removed for want of room and that
	// had not expired, Expired those that it removed because they had.
	Evicted, Expired uint64

	// Limit is the setting that has the guest evict, or refuse what is new, in
	// the guest's words. MemoryLimit is called memory_limit there.
	Limit string
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
	d := p.store.Description()
	return Info{
		Name:         p.config.Name,
		EngineName:   d.Name,
		Version:      d.Version,
		Capabilities: append([]string(nil), d.Capabilities...),
		MaxKey:       d.MaxKey,
		MaxValue:     d.MaxValue,
		Shards:       p.config.Shards,
		ShardMemory:  p.config.shardLimit,
		Module:       p.module,
	}
}
