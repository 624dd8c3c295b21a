package tenant

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Limits bound what a tenant takes. Those of [HostConfig] hold for every tenant, those of
// a [Manifest] for its own, and the lower one counts. 0 means [DefaultLimits] for a host,
// and the host's limit for a tenant.
type Limits struct {
	// Memory bounds the plugin's memory. See [plugin.Config.MemoryLimit].
	Memory Bytes `json:"memory,omitempty"`

	// Call bounds how long one call of the plugin may run. See [plugin.Config.Deadline].
	Call Duration `json:"call,omitempty"`

	// Fuel bounds how much one call may compute, and FuelRate how much all calls compute
	// per second. See [plugin.Config.Fuel] and FuelRate there.
	Fuel     int64 `json:"fuel,omitempty"`
	FuelRate int64 `json:"fuel_rate,omitempty"`

	// Calls bounds how many calls of the plugin run at once, Queue how many wait for
	// their turn, and Wait how long each waits. See [plugin.Config.MaxCalls] and its
	// siblings.
	Calls int      `json:"calls,omitempty"`
	Queue int      `json:"queue,omitempty"`
	Wait  Duration `json:"wait,omitempty"`

	// Key and Value bound the sizes of keys and records. See [plugin.Config.MaxKey] and
	// MaxValue there.
	Key   Bytes `json:"key,omitempty"`
	Value Bytes `json:"value,omitempty"`

	// LogLines and LogBytes bound what the plugin writes to the log in a second. See
	// [plugin.Config.LogLines].
	LogLines int   `json:"log_lines,omitempty"`
	LogBytes Bytes `json:"log_bytes,omitempty"`

	// Module bounds the size of the plugin's module.
	Module Bytes `json:"module,omitempty"`

	// Files and FileBytes bound how many files and directories, and how many bytes, the
	// plugin has in all its mounts together.
	Files     int   `json:"files,omitempty"`
	FileBytes Bytes `json:"file_bytes,omitempty"`

	// Connections bounds the plugin's connections, and NetworkWait how long one call waits for
	// them. See [plugin.Network].
	Connections int      `json:"connections,omitempty"`
	NetworkWait Duration `json:"network_wait,omitempty"`
}

// DefaultLimits are the limits of a host that sets none. They suit a plugin that keeps the
// sessions of one customer.
func DefaultLimits() Limits {
	return Limits{
		Memory:    64 << 20,
		Call:      Duration(time.Second),
		Fuel:      plugin.DefaultFuel,
		FuelRate:  plugin.DefaultFuelRate,
		Calls:     1,
		Queue:     256,
		Wait:      Duration(5 * time.Second),
		Key:       abi.MaxKey,
		Value:     1 << 20,
		LogLines:  plugin.DefaultLogLines,
		LogBytes:  plugin.DefaultLogBytes,
		Module:    Bytes(plugin.StrictLimits().Module),
		Files:     65536,
		FileBytes: 256 << 20,

		Connections: 16,
		NetworkWait: Duration(5 * time.Second),
	}
}

// withDefaults returns a host's limits with everything decided.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		Memory:    cmp.Or(l.Memory, d.Memory),
		Call:      cmp.Or(l.Call, d.Call),
		Fuel:      cmp.Or(l.Fuel, d.Fuel),
		FuelRate:  cmp.Or(l.FuelRate, d.FuelRate),
		Calls:     cmp.Or(l.Calls, d.Calls),
		Queue:     cmp.Or(l.Queue, d.Queue),
		Wait:      cmp.Or(l.Wait, d.Wait),
		Key:       cmp.Or(l.Key, d.Key),
		Value:     cmp.Or(l.Value, d.Value),
		LogLines:  cmp.Or(l.LogLines, d.LogLines),
		LogBytes:  cmp.Or(l.LogBytes, d.LogBytes),
		Module:    cmp.Or(l.Module, d.Module),
		Files:     cmp.Or(l.Files, d.Files),
		FileBytes: cmp.Or(l.FileBytes, d.FileBytes),

		Connections: cmp.Or(l.Connections, d.Connections),
		NetworkWait: cmp.Or(l.NetworkWait, d.NetworkWait),
	}
}

// under returns a tenant's limits beneath those of its host.
func (l Limits) under(host Limits) Limits {
	return Limits{
		Memory:    lower(l.Memory, host.Memory),
		Call:      lower(l.Call, host.Call),
		Fuel:      lower(l.Fuel, host.Fuel),
		FuelRate:  lower(l.FuelRate, host.FuelRate),
		Calls:     lower(l.Calls, host.Calls),
		Queue:     lower(l.Queue, host.Queue),
		Wait:      lower(l.Wait, host.Wait),
		Key:       lower(l.Key, host.Key),
		Value:     lower(l.Value, host.Value),
		LogLines:  lower(l.LogLines, host.LogLines),
		LogBytes:  lower(l.LogBytes, host.LogBytes),
		Module:    lower(l.Module, host.Module),
		Files:     lower(l.Files, host.Files),
		FileBytes: lower(l.FileBytes, host.FileBytes),

		Connections: lower(l.Connections, host.Connections),
		NetworkWait: lower(l.NetworkWait, host.NetworkWait),
	}
}

// lower returns the lower of a tenant's limit, which may be 0 for none, and its host's.
func lower[T ~int | ~int64](own, host T) T {
	if own == 0 {
		return host
	}
	return min(own, host)
}

// apply sets the limits of a plugin.
func (l Limits) apply(c *plugin.Config) {
	c.MemoryLimit = int64(l.Memory)
	c.Deadline = time.Duration(l.Call)
	c.Fuel, c.FuelRate = l.Fuel, l.FuelRate
	c.MaxCalls, c.MaxQueue, c.QueueWait = l.Calls, l.Queue, time.Duration(l.Wait)
	c.MaxKey, c.MaxValue = int(min(l.Key, abi.MaxKey)), int(min(l.Value, abi.MaxValue))
	c.LogLines, c.LogBytes = l.LogLines, int(l.LogBytes)
	c.Limits = plugin.StrictLimits()
	c.Limits.Module = int64(l.Module)
}

// The least that MaxKey and MaxValue of [plugin.Config] may be.
const (
	leastKey   = 64
	leastValue = 4096
)

// checkHost returns what is wrong with a host's limits.
func (l Limits) checkHost() error {
	f := newFaults()
	l.check(f)
	if len(f.all) == 0 {
		return nil
	}
	return fmt.Errorf("tenant: HostConfig.Limits: %w", errors.Join(f.all...))
}

func (l Limits) check(f *faults) {
	if l.Key > 0 && l.Key < leastKey {
		f.add("$.limits.key", "is %v: must be at least %d", l.Key, leastKey)
	}
	if l.Value > 0 && l.Value < leastValue {
		f.add("$.limits.value", "is %v: must be at least %d", l.Value, leastValue)
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"memory", int64(l.Memory)}, {"call", int64(l.Call)}, {"fuel", l.Fuel}, {"fuel_rate", l.FuelRate},
		{"calls", int64(l.Calls)}, {"queue", int64(l.Queue)}, {"wait", int64(l.Wait)}, {"key", int64(l.Key)}, {"value", int64(l.Value)},
		{"log_lines", int64(l.LogLines)}, {"log_bytes", int64(l.LogBytes)},
		{"module", int64(l.Module)}, {"files", int64(l.Files)}, {"file_bytes", int64(l.FileBytes)},
		{"connections", int64(l.Connections)}, {"network_wait", int64(l.NetworkWait)},
	} {
		if limit.value < 0 {
			f.add("$.limits."+limit.name, "is %d: must be 1 or more, or left out for the host's", limit.value)
		}
	}
}
