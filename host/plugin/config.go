package plugin

import (
	"cmp"
	"log/slog"
	"maps"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Config says how to run a guest. The zero value runs any guest, whoever wrote
// it, with sensible limits.
type Config struct {
	// Name is the plugin's name in logs and errors. Empty means the name that
	// the guest gives itself, or else the name of the file.
	Name string

	// Host holds what plugins share: compiled code, budgets and a scheduler. Nil
	// means [DefaultHost].
	Host *Host

	// Lazy starts an instance only when it is first needed. Open then takes little
	// time and misses what only running the guest shows, for instance that it refuses
	// its GuestConfig; the first operation finds that out. Open runs the guest all the same
	// if a directory was written with another number of shards or there is a snapshot.
	Lazy bool

	// Shared lets the plugin take turns with the host's other plugins of the same module on
	// a few instances, if the module allows it. Ten thousand plugins then cost little more than
	// what they store: each has a memory that shares all pages that it has not written to,
	// and asleep only what it has changed. For callers nothing else is different. Where it is not
	// possible (with Mounts or Network; for a module that changes tables or segments, or has mutable
	// globals that are no numbers; on other systems than Linux) the plugin runs on instances
	// of its own, and the log and [Info] say why.
	Shared bool

	// SleepAfter is how long an instance may be idle before the host closes it and
	// frees its resources. The host checks at intervals of that length, so it can take
	// twice as long. The next call starts the instance again, with all records: the host
	// saves a guest that keeps files first, and keeps the records of any other. Such a
	// guest must export session_snapshot and session_restore, and does not sleep while
	// HostConfig.Memory has no room for those records. 0 means never.
	//
	// A plugin that shares instances sleeps without any export of the guest, and without a
	// call of it. If it has more than 4 MiB of its own it stays awake until it is told to
	// sleep or its room is needed; see HostConfig.Awake.
	SleepAfter time.Duration

	// GuestConfig is passed to the guest, which defines the settings in it. Their
	// names consist of a–z, 0–9 and _; shard, shards, memory_limit and names that
	// begin with host_ are the host's own.
	GuestConfig map[string]string

	// Shards is the number of instances, a power of two up to 1024. It decides
	// which shard a key belongs to; see [ShardOf]. 0 means a power of two near
	// twice the processors that Go uses, fewer if MemoryLimit is too small for so
	// many, and 1 for a plugin that is Shared. For a guest that keeps files (in a writable mount) 0 means the number
	// that the directory was written with, and 4 for a new one, on every machine.
	// Another number gives [ErrShards], unless the guest says that it finds its
	// records with any.
	Shards int

	// MemoryLimit bounds the memory of all instances together, in bytes. Each
	// gets an equal part, of which it may use at most 2 GiB. The host subtracts what
	// the module's table, elements, globals and segments take in the host for an
	// instance, but for the first MiB. 0 means 512 MiB, or half of what the process
	// may have if that is less: what its control group and those above it allow (a
	// container's limit, of version 1 or 2), or GOMEMLIMIT; but at least 24 MiB for
	// each shard. The log then says so. Address space is reserved at once, memory is
	// used as the guest asks for it.
	MemoryLimit int64

	// Trusted lets the guest compute without bounds, unmetered, which is a little
	// faster. Set it for a module that you would also link into your program; the
	// bundled engines set it. An endless loop in it stops the whole process. See the
	// package's comment. Trusted excludes the bounds that follow.
	Trusted bool

	// Deadline bounds how long a call of the guest may run. Time in which the system
	// runs something else does not count, where the system can tell (Linux, macOS). How
	// long a call may wait in functions of the host, for a disk for instance, has the
	// same bound, or DefaultDeadline if that is more, and is counted by itself. Waiting for a
	// network has another bound; see Network. 0 means
	// [DefaultDeadline].
	Deadline time.Duration

	// Fuel bounds how much a call may compute, in units of fuel, such as the addition of
	// two numbers. What is charged is the most that a stretch of code can do, and in what
	// Go compiles to this is several times what it does: a nanosecond is some 5 units
	// in a guest in C, and 50 in one in Go. Unlike time, fuel is the same for the same input
	// on every machine. [Stats] tells how much a guest uses. 0 means [DefaultFuel].
	Fuel int64

	// OpenDeadline and OpenFuel bound each step of starting an instance. 0 means ten
	// seconds and twice DefaultFuel, or Deadline and Fuel if those are more.
	OpenDeadline time.Duration
	OpenFuel     int64

	// FuelRate bounds how much fuel all instances together use per second, and FuelBurst
	// how much they may use at once after they used less. Everything counts: operations,
	// starting, saving and sweeping. Beyond it, operations fail with [ErrRate] before they
	// reach the guest, and nothing else changes. 0 means [DefaultFuelRate], and eight
	// seconds of FuelRate, or Fuel if that is more. A FuelRate of less than 0 means no
	// bound.
	FuelRate, FuelBurst int64

	// MaxKey and MaxValue bound the bytes of a key and of a value, as the guest's description
	// does. What is larger is refused with [store.ErrTooLarge] before the guest sees it. A
	// value that was stored while more was allowed is not returned: Get fails with
	// [store.ErrOversized]. At least 64 and 4096, and 0 means the contract's 1024 and 16 MiB.
	MaxKey, MaxValue int

	// LogLines and LogBytes bound how many lines a second the guest writes to the log, by
	// whatever means, and how many bytes they have. It may use what it saved for four seconds at
	// once. What is beyond is dropped, and counted. 0 means [DefaultLogLines] and
	// [DefaultLogBytes], less than 0 no bound.
	LogLines, LogBytes int

	// MaxCalls bounds how many calls for records (get, set, touch, delete) run at once. 0
	// means as many as there are shards, which is the most that can.
	//
	// MaxQueue bounds how many such calls wait because others run, and QueueWait how long
	// each of them waits. A call beyond them fails with [ErrBusy], and the guest learns nothing
	// of it. A call whose context ends leaves earlier. 0 means [DefaultQueue] for each
	// shard, and [DefaultQueueWait]; less than 0 means no bound.
	MaxCalls, MaxQueue int
	QueueWait          time.Duration

	// CacheDir keeps compiled code, which makes the next start faster. The host
	// runs that code as it is. So the directory must belong to the user of the
	// process, to root or to the owner of the program, and be writable by nobody
	// else. The same holds for directories above it and links on the way to it,
	// except that others may write to a sticky one such as /tmp. The host makes the
	// directory if there is none. It only reads one that it may not write to, as in
	// an image. If it cannot use the directory it does without, and the log says
	// why. Empty means "waddle" in [os.UserCacheDir].
	CacheDir string

	// NoCache keeps compiled code in memory only.
	NoCache bool

	// Logger receives log records of the guest and its host. Nil means
	// [slog.Default]. A handler must not call the plugin.
	Logger *slog.Logger

	// SweepInterval is how often expired records are removed, if the guest
	// can do that in steps. 0 means a minute, less than 0 never.
	SweepInterval time.Duration

	// Durability says when writes are made durable; see the type. SaveInterval is
	// the interval of DurabilityInterval; 0 means a second, and with Snapshots a
	// minute.
	Durability   Durability
	SaveInterval time.Duration

	// Snapshots is a directory for a guest that keeps its records in memory.
	// The plugin writes the records to a file there when it saves and closes, and
	// restores them when it opens, with any number of shards. It makes the
	// directory if there is none. One plugin at a time can use it. A session that
	// ended after the last save comes back after a crash. The guest must export
	// session_snapshot and session_restore. Empty means none. Snapshots exclude
	// DurabilityCommit.
	Snapshots string

	// LockWait is how long Open waits for a directory (a writable mount, or
	// Snapshots) that another process holds: in a rolling restart the next
	// process starts while the previous one still drains. The log says whom it
	// waits for. After that time, and with 0 at once, Open fails with [ErrInUse].
	LockWait time.Duration

	// Mounts are the directories that the guest may use. There are no others.
	// Unless the guest is trusted each mount has quotas, even if none are set; see
	// [Mount].
	Mounts []Mount

	// Network is what the guest may reach over a network. The zero value is nothing. A guest that
	// imports the functions for it is refused unless something is granted.
	Network Network

	// DebugInfo reads the debug sections of the module (DWARF 2 to 4), so that
	// the traces of failures have files and lines and not only functions. It is
	// for a guest under development. It needs Trusted: nothing bounds the time and
	// memory that reading these sections takes. If they are of no use, the log says
	// why.
	DebugInfo bool

	// Limits bound the size of the module and what compiling it may take. The zero
	// value means [DefaultLimits]. [StrictLimits] are for modules from strangers.
	Limits Limits

	// Now is the clock of pauses between restarts and of the sweeper. Nil
	// means [time.Now]. If it leaps more than a day ahead, it removes no expired
	// record until it has run steadily for an hour; the log says so.
	Now func() time.Time

	// Tests set these.
	patience, closeGrace, countInterval time.Duration
	sequence                            time.Duration
	root                                string // of /proc and /sys
	passed                              func() time.Duration
	permissions                         permissions // nil for the host's own
}

// The bounds of a guest that is not trusted and whose Config sets none. The fuel is above
// what a storage engine in any language needs; DefaultDeadline is what ends most calls
// that never would.
const (
	DefaultDeadline = 5 * time.Second
	DefaultFuel     = 1 << 38 // of a call
	DefaultFuelRate = 1 << 34 // per second
)

// What a guest may write to the log in a second, whether it is trusted or not.
const (
	DefaultLogLines = 50
	DefaultLogBytes = 16 << 10
)

// The bounds of a plugin whose Config sets none: of calls that wait, for each shard, and of the
// time that each waits.
const (
	DefaultQueue     = protocol.DefaultQueue
	DefaultQueueWait = protocol.DefaultQueueWait
)

const (
	// A guest may have much to read when it opens.
	defaultOpenDeadline = 10 * time.Second
	defaultOpenFuel     = 2 * DefaultFuel

	// burstSeconds is how many seconds' fuel a guest may use at once.
	burstSeconds = 8
)

const (
	// defaultPatience is how long chores wait for one shard before they go on to the
	// next.
	defaultPatience = 10 * time.Second

	// sequenceCalls is how many times its deadline a guest may take for a sequence of
	// calls whose number it decides itself. leastSequence is the least time for one.
	sequenceCalls = 30
	leastSequence = 10 * time.Second

	defaultMemory = 512 << 20
	maxShards     = abi.MaxShards
	maxAutoShards = 64
	pageSize      = 1 << 16
	maxPages      = abi.MaxMemory / pageSize
	maxConfig     = 1 << 16 // bytes of session_open's list
)

// resolved is a Config with everything decided.
type resolved struct {
	Config
	name       string // Config.Name or a default: the name until the guest has given its own
	autoShards bool
	shardLimit int64 // bytes of memory for one instance
	granted    permissions
	notShared  string // why the guest does not share executors, although it may

	container     int64 // bytes that the process may take, 0 for no bound or if MemoryLimit is set
	containerSays string
}

func (c Config) resolve(defaultName string) (resolved, error) {
	s := resolved{Config: c, name: cmp.Or(c.Name, defaultName)}
	s.GuestConfig = maps.Clone(c.GuestConfig)
	s.Host = cmp.Or(c.Host, DefaultHost())
	switch {
	case c.Shards != 0 && !possibleShards(c.Shards):
		return s, configError("Shards is %d: must be 0 or a power of two up to %d", c.Shards, maxShards)
	case c.MemoryLimit < 0:
		return s, configError("MemoryLimit is %d: must be 0 or a number of bytes", c.MemoryLimit)
	case c.Deadline < 0 || c.OpenDeadline < 0:
		return s, configError("Deadline is %v and OpenDeadline %v: must be 0 or more", c.Deadline, c.OpenDeadline)
	case c.Fuel < 0 || c.OpenFuel < 0 || c.FuelBurst < 0:
		return s, configError("Fuel is %d, OpenFuel %d and FuelBurst %d: must be 0 or more", c.Fuel, c.OpenFuel, c.FuelBurst)
	case c.FuelRate < 0 && c.FuelBurst > 0:
		return s, configError("FuelBurst is %d and FuelRate %d, which means no bound: leave one of them out", c.FuelBurst, c.FuelRate)
	case c.MaxKey != 0 && (c.MaxKey < protocol.LeastKey || c.MaxKey > abi.MaxKey):
		return s, configError("MaxKey is %d: must be 0 or %d to %d", c.MaxKey, protocol.LeastKey, abi.MaxKey)
	case c.MaxValue != 0 && (c.MaxValue < protocol.LeastValue || c.MaxValue > abi.MaxValue):
		return s, configError("MaxValue is %d: must be 0 or %d to %d", c.MaxValue, protocol.LeastValue, abi.MaxValue)
	case c.Trusted && (c.Deadline != 0 || c.OpenDeadline != 0):
		return s, configError("Deadline is %v and OpenDeadline %v for a trusted guest, which runs unmetered: leave them out, or leave Trusted out",
			c.Deadline, c.OpenDeadline)
	case c.Trusted && (c.Fuel != 0 || c.OpenFuel != 0 || c.FuelRate != 0 || c.FuelBurst != 0):
		return s, configError("Fuel is %d, OpenFuel %d, FuelRate %d and FuelBurst %d for a trusted guest, which runs unmetered: "+
			"leave them out, or leave Trusted out", c.Fuel, c.OpenFuel, c.FuelRate, c.FuelBurst)
	case c.DebugInfo && !c.Trusted:
		return s, configError("DebugInfo is set for a guest that is not trusted, and nothing bounds how long reading debug sections takes: " +
			"set Trusted if you trust the guest, or leave DebugInfo out")
	case c.Durability < 0 || c.Durability >= durabilities:
		return s, configError("Durability is %d: must be one of the constants", c.Durability)
	case c.Snapshots != "" && c.Durability == DurabilityCommit:
		return s, configError("Durability is DurabilityCommit and Snapshots is set: each write would write every record; use a guest that keeps files")
	case c.MaxCalls < 0:
		return s, configError("MaxCalls is %d: must be 0 or a number of calls", c.MaxCalls)
	case c.SleepAfter < 0:
		return s, configError("SleepAfter is %v: must not be negative", c.SleepAfter)
	case c.SaveInterval < 0:
		return s, configError("SaveInterval is %v: must not be negative", c.SaveInterval)
	case c.LockWait < 0:
		return s, configError("LockWait is %v: must not be negative", c.LockWait)
	case c.Limits.Module < 0:
		return s, configError("Limits.Module is %d: must be 0 or a number of bytes", c.Limits.Module)
	case c.Limits.CompileCost < 0:
		return s, configError("Limits.CompileCost is %d: must be 0 or more", c.Limits.CompileCost)
	case c.Limits.CompileMemory < 0:
		return s, configError("Limits.CompileMemory is %d: must be 0 or a number of bytes", c.Limits.CompileMemory)
	case c.NoCache && c.CacheDir != "":
		return s, configError("CacheDir is %q and NoCache is set: set one of the two", c.CacheDir)
	}
	for name, value := range c.GuestConfig {
		if err := checkSetting(name, value); err != nil {
			return s, err
		}
	}
	s.resolveBounds()
	s.resolveMounts()
	if err := s.resolveNetwork(); err != nil {
		return s, err
	}
	// The numbers that the host adds take no more than 64 bytes.
	if n := len(s.pairs(0)); n > maxConfig-64 {
		return s, configError("GuestConfig is %d bytes as a list: must be at most %d", n, maxConfig-64)
	}
	if s.Shards == 0 {
		var err error
		if s.Shards, err = s.shardsOfFiles(); err != nil {
			return s, err
		}
	}
	if s.Shards == 0 && s.Shared {
		s.Shards = 1
	}
	if s.Shards == 0 {
		s.autoShards = true
		s.Shards = shardsFor(runtime.GOMAXPROCS(0))
	}
	if s.passed == nil {
		began := time.Now()
		s.passed = func() time.Duration { return time.Since(began) }
	}
	s.root = cmp.Or(s.root, "/")
	if s.permissions == nil {
		s.permissions = builtinPermissions()
	}
	s.granted = s.permissions.grantedBy(&s.Config)
	s.resolveShared()
	s.boundMemory()
	s.Limits = s.Limits.orDefault()
	if s.Durability == DurabilityDefault {
		s.Durability = DurabilityClose
		if s.keepsFiles() || s.Snapshots != "" {
			s.Durability = DurabilityInterval
		}
	}
	if s.SaveInterval == 0 {
		s.SaveInterval = defaultSaveInterval
		if s.Snapshots != "" {
			s.SaveInterval = defaultSnapshotInterval
		}
	}
	if s.SweepInterval == 0 {
		s.SweepInterval = time.Minute
	}
	s.MaxKey, s.MaxValue = cmp.Or(s.MaxKey, abi.MaxKey), cmp.Or(s.MaxValue, abi.MaxValue)
	s.LogLines, s.LogBytes = cmp.Or(s.LogLines, DefaultLogLines), cmp.Or(s.LogBytes, DefaultLogBytes)
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.patience = cmp.Or(s.patience, defaultPatience)
	s.countInterval = cmp.Or(s.countInterval, countInterval)
	s.sequence = cmp.Or(s.sequence, max(sequenceCalls*min(s.Deadline, time.Hour), leastSequence))
	return s, nil
}

// resolveBounds decides what a guest may compute. A trusted one has no bounds.
func (s *resolved) resolveBounds() {
	if s.Trusted {
		return
	}
	s.Deadline = cmp.Or(s.Deadline, DefaultDeadline)
	s.Fuel = cmp.Or(s.Fuel, DefaultFuel)
	s.OpenDeadline = cmp.Or(s.OpenDeadline, max(s.Deadline, defaultOpenDeadline))
	s.OpenFuel = cmp.Or(s.OpenFuel, max(s.Fuel, defaultOpenFuel))
	s.FuelRate = cmp.Or(s.FuelRate, DefaultFuelRate)
	s.FuelBurst = cmp.Or(s.FuelBurst, max(s.Fuel, burstSeconds*min(s.FuelRate, math.MaxInt64/burstSeconds)))
}

// shardsFor returns how many shards there are by default: at least two for each processor, so that calls
// of requests seldom meet. An instance of a Go guest takes some megabytes, whoever calls it.
func shardsFor(processors int) int {
	return min(1<<bits.Len(uint(2*processors-1)), maxAutoShards)
}

func possibleShards(n int) bool { return n > 0 && n <= maxShards && bits.OnesCount(uint(n)) == 1 }

func checkSetting(name, value string) error {
	switch {
	case name == "" || !plainName(name):
		return configError("the setting %q: its name must consist of a-z, 0-9 and _", name)
	case name == abi.ConfigShard || name == abi.ConfigShards || name == abi.ConfigMemoryLimit ||
		strings.HasPrefix(name, abi.ConfigHostPrefix):
		return configError("the setting %q is set by the host: remove it from GuestConfig", name)
	case strings.ContainsRune(value, 0) || !utf8.ValidString(value):
		return configError("the setting %q: its value must be UTF-8 without NUL", name)
	}
	return nil
}

func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// freeInstance is how many bytes an instance may take in the host without counting:
// 16 KiB for the host itself, and the declarations of modules like a Go guest.
const freeInstance = 1 << 20

// divide fixes how much memory an instance gets: its part of MemoryLimit, less what
// else it takes in the host. It must be at least what the module needs from the start.
func (s *resolved) divide(module *preflight.Module, interpreted bool) error {
	beside := max(module.InstanceSize(interpreted)-freeInstance, 0)
	need := max(module.Memory.Min, 1) * pageSize
	for {
		part := s.MemoryLimit / int64(s.Shards)
		s.shardLimit = max(min(part-beside, abi.MaxMemory), 0) / pageSize * pageSize
		if s.shardLimit >= need {
			return nil
		}
		if !s.autoShards || s.Shards == 1 {
			break
		}
		s.Shards /= 2
	}
	s.Host.limits.count(LimitMemory)
	over := &refusal{LimitMemory, s.shardLimit, need, ErrLimits}
	if beside == 0 {
		return loadError(ErrLimits, over, "MemoryLimit leaves %d bytes of memory for each of %d shards: must leave the %d that the module needs from the start; "+
			"set MemoryLimit to at least %d", s.shardLimit, s.Shards, need, need*int64(s.Shards))
	}
	return loadError(ErrLimits, over, "MemoryLimit leaves %d bytes for each of %d shards: must leave the %d that the module needs from the start, %d of memory and %d "+
		"in the host (for a table of %d entries, %d entries in %d element segments, %d globals, %d data segments, %d imports and "+
		"%d exports, less %d that are free); set MemoryLimit to at least %d, or have fewer Shards", s.MemoryLimit/int64(s.Shards), s.Shards,
		need+beside, need, beside, module.TableSize(), module.Elements, module.ElementSegments, module.Globals, module.Segments,
		len(module.Imports), len(module.Exports), freeInstance, (need+beside)*int64(s.Shards))
}

// pairs returns the list for session_open.
func (s *resolved) pairs(shard int) []byte {
	own := map[string]int64{abi.ConfigShard: int64(shard), abi.ConfigShards: int64(s.Shards), abi.ConfigMemoryLimit: s.shardLimit}
	names := slices.AppendSeq(make([]string, 0, len(s.GuestConfig)+len(own)), maps.Keys(s.GuestConfig))
	names = slices.AppendSeq(names, maps.Keys(own))
	slices.Sort(names)
	list := make([]byte, 0, 128)
	for _, name := range names {
		if n, ok := own[name]; ok {
			list = abi.AppendPair(list, name, strconv.FormatInt(n, 10))
		} else {
			list = abi.AppendPair(list, name, s.GuestConfig[name])
		}
	}
	return list
}
