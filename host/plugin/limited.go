package plugin

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
)

// Limit is a limit of a plugin or of its host, in a word. [Error] has the one that made an
// operation fail, and [Stats] and [HostStats] count how often each was exceeded. README.md
// has the setting, the default and the consequence of each.
type Limit = protocol.Limit

// The limits of a plugin.
const (
	LimitFuel        Limit = "fuel"                    // of one call
	LimitRate        Limit = "rate"                    // fuel per second
	LimitDeadline    Limit = "deadline"                // the time that one call runs
	LimitHostTime    Limit = "host_time"               // the time that one call waits in functions of the host
	LimitDepth       Limit = "depth"                   // of calls
	LimitMemory      Limit = "memory"                  // of an instance
	LimitQueue       Limit = protocol.LimitQueue       // calls that wait
	LimitQueueWait   Limit = protocol.LimitQueueWait   // how long a call waits
	LimitKey         Limit = protocol.LimitKey         // bytes of a key
	LimitValue       Limit = protocol.LimitValue       // bytes of a value to be stored
	LimitResult      Limit = protocol.LimitResult      // bytes that the guest returns
	LimitEnumeration Limit = protocol.LimitEnumeration // of keys or records
	LimitLog         Limit = "log"                     // lines and bytes per second
	LimitBytes       Limit = "bytes"                   // of all files of a mount
	LimitFiles       Limit = "files"                   // and directories of a mount
	LimitOpenFiles   Limit = "open_files"              // of a mount
	LimitConnections Limit = "connections"             // open, or begun in a second
	LimitNetworkWait Limit = "network_wait"            // the time that one call waits for a network
)

// The limits of a host. What a plugin is refused because of them counts for the plugin, too.
const (
	LimitModule       Limit = "module"        // the size and shape of a module
	LimitCompile      Limit = "compile"       // what compiling it takes
	LimitCompiling    Limit = "compiling"     // modules that are compiled at once
	LimitHostMemory   Limit = "host_memory"   // of all guests
	LimitAddressSpace Limit = "address_space" // the same
	LimitMappings     Limit = "mappings"      // the same
	LimitHandles      Limit = "handles"       // the same
)

var allLimits = [...]Limit{
	LimitFuel, LimitRate, LimitDeadline, LimitHostTime, LimitDepth, LimitMemory, LimitQueue, LimitQueueWait, LimitKey, LimitValue,
	LimitResult, LimitEnumeration, LimitLog, LimitBytes, LimitFiles, LimitOpenFiles, LimitConnections, LimitNetworkWait,
	LimitModule, LimitCompile, LimitCompiling, LimitHostMemory, LimitAddressSpace, LimitMappings, LimitHandles,
}

// AllLimits returns all limits that a host or a plugin counts.
func AllLimits() []Limit { return slices.Clone(allLimits[:]) }

// limitCounts counts how often each limit was exceeded. Nil counts nothing.
type limitCounts struct {
	n   [len(allLimits)]atomic.Uint64
	all *limitCounts // those of the host, if these are a plugin's
}

func (c *limitCounts) count(l Limit) { c.add(l, 1) }

func (c *limitCounts) add(l Limit, n int) {
	for i := slices.Index(allLimits[:], l); c != nil; c = c.all {
		c.n[i].Add(uint64(n))
	}
}

func (c *limitCounts) of(l Limit) uint64 { return c.n[slices.Index(allLimits[:], l)].Load() }

// exceeded returns the counts of the limits that were exceeded.
func (c *limitCounts) exceeded() map[Limit]uint64 {
	counts := make(map[Limit]uint64)
	for i, l := range allLimits {
		if n := c.n[i].Load(); n > 0 {
			counts[l] = n
		}
	}
	return counts
}

// refusal is the error of a limit.
type refusal struct {
	limit         Limit
	allowed, used int64
	error
}

func (r *refusal) Unwrap() error { return r.error }

// refusalOf returns the limit that made err, or a refusal without one.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return new(refusal)
}

// limitIn returns the limit that made opening a plugin fail, if any.
func limitIn(err error) Limit {
	var e *Error
	if errors.As(err, &e) {
		return e.Limit
	}
	return refusalOf(err).limit
}
