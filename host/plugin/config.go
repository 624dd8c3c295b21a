package plugin

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"math/bits"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Config says how a guest is run. The zero value runs any guest, whoever wrote
// it, with sensible limits.
type Config struct {
	// Name is what logs and errors call the plugin. Empty means the name that
	// the guest gives itself, or else the name of the file.
	Name string

	// Host is what the plugin shares with others: compiled code, budgets and a
	// scheduler. Nil means [DefaultHost].
	Host *Host

	// Lazy has no instance brought up before it is needed. Open then takes little
	// time, and does not find out what only running the guest can tell, as that it
	// refuses its Settings: the first operation does. Directories that were written
	// with another number of shards, and a snapshot, have the guest run all the same.
	Lazy bool

	// SleepAfter is after how long without a call an instance is closed, and what it
	// takes is given back; it is looked at in such intervals, so that it can be twice
	// as long. The next call brings it up again, with all records: a guest that keeps
	// files is saved first, and of any other the host keeps what session_snapshot
	// gives, which the guest must export, and session_restore. 0 means never.
	SleepAfter time.Duration

	// Settings are passed to the guest, which defines what it knows. Names
	// consist of a–z, 0–9 and _; shard, shards, memory_limit and names that
	// begin with host_ are the host's own.
	Settings map[string]string

	// Shards is the number of instances, a power of two up to 1024. Which key
	// belongs to which shard depends on it; see [ShardOf]. 0 means a power of
	// two near twice the processors that Go uses, fewer if MemoryLimit is too
	// small for so many. For a guest that keeps files (a mount that may be
	// changed) 0 means the number that the directory was written with, and 4 for
	// a new one, on every machine; another number gives [ErrShards], unless the
	// guest says that it finds its records with any.
	Shards int

	// MemoryLimit bounds the memory of all instances together, in bytes. Each
	// gets an equal part, of which it has at most 2 GiB for its own use: what the
	// module's table, elements, globals and segments take in the host for an
	// instance comes off, but for the first MiB. 0 means 512 MiB, or half of what
	// the process may have if that is less: what its control group and those above it
	// allow (a container's limit, of version 1 or 2), or GOMEMLIMIT; but 24 MiB
	// for each shard. The log says so. The address space is reserved at once,
	// memory is used as the guest asks for it.
	MemoryLimit int64

	// Trusted says that the guest may do without bounds in time, for the sake of
	// speed. Set it for a module that you would as well link into your program, as
	// the bundled engines are: a loop without end in it stops the whole process.
	// See the package's comment.
	Trusted bool

	// Deadline bounds each call of the guest. 0 means [DefaultDeadline], and no
	// bound for a trusted guest. The package's comment says what a deadline costs.
	Deadline time.Duration

	// OpenDeadline bounds each step of bringing up an instance of a guest that has
	// a Deadline. 0 means ten seconds, or Deadline if that is longer.
	OpenDeadline time.Duration

	// CacheDir keeps compiled code, which makes the next start faster. The
	// code in it is run as it is: the directory must belong to the user of the
	// process, to root or to the owner of the program, and be writable by nobody
	// else; so must those above it, and links on the way to it, but that others
	// may write to one above it that is sticky, as /tmp is. It is made if there is
	// none. One that the process may not write to, as in an image, is read only.
	// One that cannot be used is done without, and the log says why. Empty means
	// "waddle" in [os.UserCacheDir].
	CacheDir string

	// NoCache keeps compiled code in memory only.
	NoCache bool

	// Logger receives what the guest and its host have to say. Nil means
	// [slog.Default]. A handler must not call the plugin.
	Logger *slog.Logger

	// SweepInterval is how often expired records are removed, if the guest
	// can do that in steps. 0 means a minute, less than 0 never.
	SweepInterval time.Duration

	// Durability is when writes are made durable; see there. SaveInterval is
	// how often for DurabilityInterval; 0 means a second, and with Snapshots a
	// minute.
	Durability   Durability
	SaveInterval time.Duration

	// Snapshots is a directory for a guest that keeps its records in memory:
	// its records are written to a file there when the plugin saves and
	// closes, and restored from there when it opens, with whatever number of
	// shards. It is made if there is none, and is for one plugin at a time. A
	// session that was ended since the last save, before a crash, comes back
	// with it. The guest must export session_snapshot and session_restore.
	// Empty means none; DurabilityCommit is not to be had with it.
	Snapshots string

	// LockWait is how long Open waits for a directory, a mount that may be
	// changed or Snapshots, that another process has: in a rolling restart the
	// next process starts while the one before still drains. The log says for
	// whom. 0 does not wait: Open then fails with [ErrInUse] at once, and
	// otherwise when the time is over.
	LockWait time.Duration

	// Mounts are the directories that the guest is granted. There are none
	// otherwise. Unless the guest is trusted each has quotas, also if none are set;
	// see [Mount].
	Mounts []Mount

	// DebugInfo reads the debug sections of the module (DWARF 2 to 4), so that
	// the traces of failures have files and lines and not functions alone. It
	// is for a guest under development that is Trusted, and cannot be had with a
	// Deadline: reading these sections takes time and memory that nothing
	// bounds. If they are of no use, the log says why.
	DebugInfo bool

	// MaxModule bounds the size of the module in bytes. 0 means 32 MiB.
	MaxModule int64

	// Limits bound what else a module may contain and what compiling it may
	// take. What is 0 has the value of [preflight.DefaultLimits], and Module is
	// MaxModule's.
	Limits preflight.Limits

	// Now is the clock of pauses between restarts and of the sweeper. Nil
	// means [time.Now]. If it leaps more than a day ahead, nothing is removed as
	// expired by it until it has gone steadily for an hour; the log says so.
	Now func() time.Time

	// What tests shorten.
	patience, closeGrace, countInterval time.Duration
	sequence                            time.Duration
	root                                string // of /proc and /sys
	passed                              func() time.Duration
	permissions                         permissions // nil for the host's own
}

const (
	// DefaultDeadline is the Deadline of a guest that is not trusted.
	DefaultDeadline = 5 * time.Second

	// defaultOpenDeadline is longer: a guest may have much to read when it opens.
	defaultOpenDeadline = 10 * time.Second
)

const (
	// defaultPatience is how long what goes on beside operations waits for one
	// shard before it goes on to the next.
	defaultPatience = 10 * time.Second

	// sequenceCalls is how many times its deadline a guest may take for calls of
	// which it says itself how many are to follow, and leastSequence the least.
	sequenceCalls = 30
	leastSequence = 10 * time.Second

	defaultMemory = 512 << 20
	defaultModule = 32 << 20
	maxShards     = abi.MaxShards
	maxAutoShards = 64
	pageSize      = 1 << 16
	maxPages      = abi.MaxMemory / pageSize
	maxConfig     = 1 << 16 // bytes of the list that session_open is given
)

// settled is a Config with everything decided.
type settled struct {
	Config
	autoShards bool
	shardLimit int64 // bytes of memory for one instance
	granted    permissions

	container     int64 // what the process may take, 0 for no bound or one that was not asked for
	containerSays string
}

func (c Config) settle() (settled, error) {
	s := settled{Config: c}
	s.Settings = maps.Clone(c.Settings)
	s.Host = cmp.Or(c.Host, DefaultHost())
	switch {
	case c.Shards != 0 && !possibleShards(c.Shards):
		return s, configError("Shards is %d, and should be 0 or a power of two up to %d", c.Shards, maxShards)
	case c.MemoryLimit < 0:
		return s, configError("MemoryLimit is %d, and should be 0 or a number of bytes", c.MemoryLimit)
	case c.Deadline < 0 || c.OpenDeadline < 0:
		return s, configError("Deadline is %v and OpenDeadline %v, and neither may be negative", c.Deadline, c.OpenDeadline)
	case c.Trusted && c.Deadline == 0 && c.OpenDeadline > 0:
		return s, configError("OpenDeadline is %v for a trusted guest without a Deadline: set Deadline too, or leave both out", c.OpenDeadline)
	case c.DebugInfo && !c.Trusted:
		return s, configError("DebugInfo is set for a guest that is not trusted, and nothing bounds how long debug sections are read: " +
			"set Trusted if you trust the guest, or leave DebugInfo out")
	case c.DebugInfo && c.Deadline > 0:
		return s, configError("DebugInfo is set together with a Deadline, which does not hold while debug sections are read: " +
			"set one of the two")
	case c.Durability < 0 || c.Durability >= durabilities:
		return s, configError("Durability is %d, and should be one of the constants", c.Durability)
	case c.Snapshots != "" && c.Durability == DurabilityCommit:
		return s, configError("DurabilityCommit together with Snapshots, which would write every record at every write: use a guest that keeps files")
	case c.SleepAfter < 0:
		return s, configError("SleepAfter is %v, and may not be negative", c.SleepAfter)
	case c.SaveInterval < 0:
		return s, configError("SaveInterval is %v, and may not be negative", c.SaveInterval)
	case c.LockWait < 0:
		return s, configError("LockWait is %v, and may not be negative", c.LockWait)
	case c.MaxModule < 0:
		return s, configError("MaxModule is %d, and should be 0 or a number of bytes", c.MaxModule)
	case c.NoCache && c.CacheDir != "":
		return s, configError("CacheDir is %q although NoCache is set", c.CacheDir)
	}
	for name, value := range c.Settings {
		if err := checkSetting(name, value); err != nil {
			return s, err
		}
	}
	if s.Deadline == 0 && !s.Trusted {
		s.Deadline = DefaultDeadline
	}
	s.settleMounts()
	// The numbers that the host adds take no more than 64 bytes.
	if n := len(s.pairs(0)); n > maxConfig-64 {
		return s, configError("Settings have %d bytes as a list, and a guest takes %d", n, maxConfig-64)
	}
	if s.Shards == 0 {
		var err error
		if s.Shards, err = s.shardsOfFiles(); err != nil {
			return s, err
		}
	}
	if s.Shards == 0 {
		s.autoShards = true
		s.Shards = 1 << bits.Len(uint(2*runtime.GOMAXPROCS(0)-1))
		s.Shards = min(s.Shards, maxAutoShards)
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
	s.boundMemory()
	if s.MaxModule == 0 {
		s.MaxModule = defaultModule
	}
	if s.OpenDeadline == 0 {
		s.OpenDeadline = max(s.Deadline, defaultOpenDeadline)
	}
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

func possibleShards(n int) bool { return n > 0 && n <= maxShards && bits.OnesCount(uint(n)) == 1 }

func checkSetting(name, value string) error {
	switch {
	case name == "" || !plainName(name):
		return configError("the setting %q: a name consists of a-z, 0-9 and _", name)
	case name == abi.ConfigShard || name == abi.ConfigShards || name == abi.ConfigMemoryLimit ||
		strings.HasPrefix(name, abi.ConfigHostPrefix):
		return configError("the setting %q is set by the host and not by Settings", name)
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

// freeInstance is what an instance takes in the host that is not counted: 200 KiB
// for functions that the host has looked up, and what modules of a Go guest's kind
// declare.
const freeInstance = 1 << 20

// divide fixes how much memory an instance gets: its part of MemoryLimit, less
// what it takes in the host beside, and at least what the module needs from the
// start.
func (s *settled) divide(module *preflight.Module, interpreted bool) error {
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
	if beside == 0 {
		return limitsError("MemoryLimit leaves %d bytes of memory for each of %d shards, and the module needs %d from the start: "+
			"set MemoryLimit to at least %d", s.shardLimit, s.Shards, need, need*int64(s.Shards))
	}
	return limitsError("MemoryLimit leaves %d bytes for each of %d shards, and the module needs %d from the start, %d of memory and %d "+
		"in the host (for a table of %d entries, %d entries in %d element segments, %d globals, %d data segments, %d imports and "+
		"%d exports, less %d that are free): set MemoryLimit to at least %d, or have fewer Shards", s.MemoryLimit/int64(s.Shards), s.Shards,
		need+beside, need, beside, module.TableSize(), module.Elements, module.ElementSegments, module.Globals, module.Segments,
		len(module.Imports), len(module.Exports), freeInstance, (need+beside)*int64(s.Shards))
}

// pairs is what session_open is given.
func (s *settled) pairs(shard int) []byte {
	all := make(map[string]string, len(s.Settings)+3)
	for name, value := range s.Settings {
		all[name] = value
	}
	all[abi.ConfigShard] = fmt.Sprint(shard)
	all[abi.ConfigShards] = fmt.Sprint(s.Shards)
	all[abi.ConfigMemoryLimit] = fmt.Sprint(s.shardLimit)
	var list []byte
	for _, name := range sortedKeys(all) {
		list = abi.AppendPair(list, name, all[name])
	}
	return list
}
