package plugin

import (
	"fmt"
	"time"
)

// Durability says when a plugin makes its guest save writes durably, and so how much
// a crash can cost. The meaning of "durable" is up to the guest: if it keeps files,
// they are on the disk.
type Durability int

// The durabilities, and the loss if the process or the machine ends without
// warning. Save and Close make everything durable in any case.
const (
	// DurabilityDefault is DurabilityInterval for a guest that may write to a
	// mount, and DurabilityClose for any other.
	DurabilityDefault Durability = iota
	// DurabilityClose loses everything since the plugin was opened, or since the
	// last Save.
	DurabilityClose
	// DurabilityInterval loses at most the writes within SaveInterval.
	DurabilityInterval
	// DurabilityCommit loses nothing. Every write is durable when it returns;
	// writes of several goroutines share a save.
	DurabilityCommit
	durabilities
)

// durabilityNames are the names of the durabilities in settings.
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
	return 0, configError("durability is %q: must be commit, interval or close", name)
}

const defaultSaveInterval = time.Second
