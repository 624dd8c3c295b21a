package topology

// Confuse makes a cluster believe that each slot belongs to the master after the right one.
func Confuse(n Nodes) {
	c := n.(*cluster)
	masters := c.masters()
	next := make(map[*server]*server)
	for i, s := range masters {
		next[s] = masters[(i+1)%len(masters)]
	}
	for slot, s := range c.slots {
		c.slots[slot] = next[s]
	}
	c.stale = false
}

// NodeCount is how many nodes a cluster remembers.
func NodeCount(n Nodes) int { return len(n.(*cluster).nodes) }

// SlotRanges, Redirect and Places are what a fuzzer feeds.
var (
	SlotRanges = slotRanges
	Redirect   = redirect
	Address    = address
)

// Place packs a place and unpacks it again.
func Place(place int64) int64 {
	p := positionAt(place)
	return p.place()
}

// RangeAddress is the address of a range.
func RangeAddress(r slotRange) string { return r.address }
