package plugin

import (
	"time"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// OpStats counts one operation.
type OpStats struct {
	Calls     uint64 // of any outcome
	NotFound  uint64 // answers NOT_FOUND: no such session, which is no fault
	Conflicts uint64 // answers CONFLICT: another request was faster, and the caller tries again
	Errors    uint64 // failures, and all other error answers
	Fuel      uint64 // that the calls used, 0 for a trusted guest
}

func (o *OpStats) add(other OpStats) {
	o.Calls += other.Calls
	o.NotFound += other.NotFound
	o.Conflicts += other.Conflicts
	o.Errors += other.Errors
	o.Fuel += other.Fuel
}

// State is the state of a shard.
type State string

// The states of a shard.
const (
	StateRunning State = "running"
	StateBackoff State = "backoff" // the instance failed; another attempt follows
	StateResting State = "resting" // no call has needed an instance so far, or it sleeps
	StateClosed  State = "closed"
)

// ShardStats is the state of one shard.
type ShardStats struct {
	State State
	// Busy says that the shard was within a call. The other figures are then
	// the last known ones.
	Busy        bool
	Memory      int64 // bytes that the instance has taken
	MemoryLimit int64
	Restarts    uint64 // instances after the first one
	Failures    int    // in a row
	RetryAfter  time.Duration
	LastError   string // of the last failure; it stays when the shard runs again
	Fuel        uint64 // that all calls have used, starting and saving included
	OpenFuel    uint64 // of Fuel, what starting the running instance used
	Ops         map[string]OpStats
	Counts      Counts // as the guest tells
}

// Stats is the state of a plugin, with counts since it was opened.
type Stats struct {
	// Runtime is "compiler" or "interpreter": how the guest's code runs.
	Runtime string
	// CompileTime is how long it took to get the code. CodeSource is its
	// source: "compiled", "directory" or, if another plugin of the process
	// runs the same module, "memory".
	CompileTime time.Duration
	CodeSource  string

	Ops             map[string]OpStats // by name of operation, over all shards
	Calls, Errors   uint64             // of all operations
	Fuel            uint64             // that all calls have used, 0 for a trusted guest
	Throttled       uint64             // operations that failed with ErrRate, which Calls does not count
	Queue           QueueStats
	Restarts        uint64
	Backoff         int   // shards in StateBackoff
	Memory          int64 // bytes that all instances have taken
	MemoryLimit     int64
	DroppedLogLines uint64
	// Limits counts how often each limit was exceeded. What was never exceeded is not in it.
	Limits  map[Limit]uint64
	Network NetworkStats
	Counts  Counts // as the guest tells, over all shards
	Shards  []ShardStats
}

// QueueStats is what waits for the guest, and for how long it did.
type QueueStats struct {
	Waiting int // calls that wait for another call of the plugin to end
	// Full and Late count calls that failed with [ErrBusy], which Calls does not count:
	// MaxQueue others waited already, or the call waited for QueueWait.
	Full, Late uint64

	// Turns counts calls that waited for plugins of the host that had used less fuel, at
	// their begin or between two slices, and TurnTime is how long they did together.
	Turns    uint64
	TurnTime time.Duration
}

// Stats returns the state of the plugin. It does not wait for a running call. If the
// guest exports session_stats, Stats makes one short call for each shard.
func (p *Plugin) Stats() Stats {
	out := Stats{
		Runtime:         p.config.Host.runtime().String(),
		CompileTime:     p.loading.took,
		CodeSource:      p.loading.source,
		Ops:             make(map[string]OpStats),
		MemoryLimit:     p.config.shardLimit * int64(p.config.Shards),
		DroppedLogLines: p.machine.log.lost(),
		Limits:          p.machine.limits.exceeded(),
		Network:         p.networkStats(),
		Throttled:       p.machine.limits.of(LimitRate),
	}
	queue := p.store.Queue()
	out.Queue = QueueStats{Waiting: queue.Waiting, Full: queue.Full, Late: queue.Late}
	out.Queue.Turns, out.Queue.TurnTime = p.machine.flow.Waited()
	seen := p.store.Stats()
	for i, s := range seen {
		shard := p.shardStats(s)
		shard.Fuel = p.machine.meters.used(i)
		out.Fuel += shard.Fuel
		out.Shards = append(out.Shards, shard)
		out.Restarts += shard.Restarts
		out.Memory += shard.Memory
		if shard.State == StateBackoff {
			out.Backoff++
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

var stateNames = map[protocol.State]State{
	protocol.Running: StateRunning, protocol.Backoff: StateBackoff, protocol.Resting: StateResting, protocol.Closed: StateClosed,
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
		OpenFuel:    seen.OpenFuel,
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

// Counts are the figures that a guest tells with session_stats. Records and Bytes
// are what it holds now. Evicted and Expired also include replaced instances, with
// what each told last.
type Counts struct {
	// Told says that the guest tells anything. If not, the rest is zero.
	Told bool

	// Records counts stored records, including expired ones that were not found
	// yet. Bytes is the space that they take, with everything kept for them. -1
	// means that the guest does not know, for this shard or for any of them.
	Records, Bytes int64

	// Evicted counts records that had not expired and that the guest removed for
	// lack of room. Expired counts records that it removed because they had expired.
	Evicted, Expired uint64

	// Limit is the setting that makes the guest evict, or refuse new records, as
	// the guest names it. MemoryLimit is called memory_limit there.
	Limit string
}

// Info describes a guest, from its module and its own description.
type Info struct {
	Name         string // as the guest describes itself, "" if it does not; see also [Plugin.Name]
	Version      string // the same
	Capabilities []string
	MaxKey       int // bytes, as the guest or Config allows, whichever is less
	MaxValue     int
	// Shared says that the guest takes turns with others on instances, and NotShared why it does
	// not although Config.Shared is set.
	Shared      bool
	NotShared   string
	Shards      int
	ShardMemory int64 // bytes that each instance may take
	Module      *preflight.Module
}

// Name returns the plugin's name in logs and errors: [Config.Name], or else the name
// that the guest gives itself, or else the name of the file.
func (p *Plugin) Name() string { return p.store.Name() }

// Info describes the guest. What the guest says of itself is missing until its first
// instance has run; see [Config.Lazy]. The module's outline is shared and must not be
// changed.
func (p *Plugin) Info() Info {
	d := p.store.Description()
	if d == nil {
		d = new(protocol.Description)
	}
	return Info{
		Name:         d.Name,
		Version:      d.Version,
		Capabilities: append([]string(nil), d.Capabilities...),
		MaxKey:       min(d.MaxKey, p.config.MaxKey),
		MaxValue:     min(d.MaxValue, p.config.MaxValue),
		Shared:       p.shared(),
		NotShared:    p.whyNotShared(),
		Shards:       p.config.Shards,
		ShardMemory:  p.config.shardLimit,
		Module:       p.module,
	}
}
