package plugin

import (
	"fmt"
	"time"
)

// Durability is when a plugin has its guest make durable what it was given:
// what a crash can take. What "durable" means is up to the guest: for one that
// keeps files, the disk has them.
type Durability int

// The durabilities, and what is lost if the process, or the machine, ends
// without warning. In any case Save and Close make everything durable.
const (
	// DurabilityDefault is DurabilityInterval for a guest that may write to a
	// mount, and DurabilityClose for any other.
	DurabilityDefault Durability = iota
	// DurabilityClose: everything since the plugin was opened, or since the
	// last Save.
	DurabilityClose
	// DurabilityInterval: at most what was written within SaveInterval.
	DurabilityInterval
	// DurabilityCommit: nothing. Every write has been made durable when it
	// returns; writes of several goroutines share the effort.
	DurabilityCommit
	durabilities
)

// The names of the durabilities, as settings spell them.
var durabilityNames = [durabilities]string{"default", "close", "interval", "commit"}

// String returns the name of the durability.
func (d Durability) String() string {
	if d < 0 || d >= durabilities {
		return fmt.Sprintf("Durability(%d)", int(d))
	}
	return durabilityNames[d]
}

// ParseDurability returns the durability of a name: close, interval or commit.
// It returns [ErrConfig] for any other.
func ParseDurability(name string) (Durability, error) {
	for d := DurabilityClose; d < durabilities; d++ {
		if durabilityNames[d] == name {
			return d, nil
		}
	}
	return 0, configError("the durability %q: it must be commit, interval or close", name)
}

const defaultSaveInterval = time.Second
