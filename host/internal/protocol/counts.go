package protocol

import (
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// Counts are the figures that a guest reports with session_stats. Records and Bytes
// are what it holds now. Evicted and Expired continue across replaced instances,
// from the last figures of each.
type Counts struct {
	// Told says that the guest reports figures. Otherwise the rest is zero.
	Told bool

	// Records is the number of stored records, including expired ones not found
	// yet. Bytes is the space that they take with everything kept for them. -1
	// means that the guest does not know the figure for this shard, or for one of
	// the shards.
	Records, Bytes int64

	// Evicted counts unexpired records that the guest removed to make room, Expired
	// those that it removed because they had expired.
	Evicted, Expired uint64

	// Limit is the setting that makes the guest evict, or refuse new records, by
	// the guest's name for it. MemoryLimit is called memory_limit there.
	Limit string
}

// add adds the counts of another shard.
func (c *Counts) add(other Counts) {
	if !other.Told {
		return
	}
	if !c.Told {
		*c = other
		return
	}
	c.Records, c.Bytes = addKnown(c.Records, other.Records), addKnown(c.Bytes, other.Bytes)
	// The limit of a shard that evicts is the one reached.
	if other.Limit != "" && (c.Limit == "" || c.Evicted == 0 && other.Evicted > 0) {
		c.Limit = other.Limit
	}
	c.Evicted += other.Evicted
	c.Expired += other.Expired
}

func addKnown(a, b int64) int64 {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

// counted is what a shard knows about its guest's counts. The shard's lock guards it.
type counted struct {
	now  Counts // of the running instance, as last reported
	past Counts // Evicted and Expired of those before it
	at   uint64 // the number of writes at that time
}

func (c *counted) total() Counts {
	sum := c.now
	sum.Evicted += c.past.Evicted
	sum.Expired += c.past.Expired
	sum.Told = sum.Told || c.past.Told
	return sum
}

// replaced notes that a new instance begins at zero.
func (c *counted) replaced() {
	c.past = c.total()
	c.now = Counts{Told: c.past.Told, Limit: c.past.Limit}
}

// askCounts asks the guest for its counts. The shard's lock is held. As in any
// operation, a failure ends the instance.
func (s *shard) askCounts() {
	inst := s.inst
	if inst == nil || inst.lacks.stats {
		return
	}
	s.counted.at = s.progress.written.Load()
	list, err := inst.Stats()
	s.seenFuel = inst.fuel() // so that the next operation is not charged for this call
	if err == nil {
		var told Counts
		if told, err = parseCounts(list); err == nil {
			s.counted.now = told
			return
		}
	}
	switch code, answered := CodeOf(err); {
	case answered && code == abi.Unsupported:
		inst.lacks.stats = true
	case !answered:
		_ = s.failed(inst, "stats", err) // the failure is in the log
	}
}

// parseCounts parses the answer of session_stats.
func parseCounts(list []byte) (Counts, error) {
	c := Counts{Told: true, Records: -1, Bytes: -1}
	for {
		name, value, rest, ok := abi.NextPair(list)
		if !ok {
			if len(rest) > 0 {
				return c, badCounts("ends in " + strconv.Itoa(len(rest)) + " bytes that are not a pair")
			}
			return c, nil
		}
		list = rest
		if name == abi.StatsLimit {
			c.Limit = short(value)
			continue
		}
		var n uint64
		switch name {
		case abi.StatsRecords, abi.StatsBytes, abi.StatsEvicted, abi.StatsExpired:
			var err error
			// 18 digits: the sum over shards stays within 64 bits.
			if n, err = strconv.ParseUint(value, 10, 63); err != nil || len(value) > 18 {
				return c, badCounts(name + " is " + strconv.Quote(short(value)) +
					": must be a number of up to 18 digits")
			}
		}
		switch name {
		case abi.StatsRecords:
			c.Records = int64(n)
		case abi.StatsBytes:
			c.Bytes = int64(n)
		case abi.StatsEvicted:
			c.Evicted = n
		case abi.StatsExpired:
			c.Expired = n
		}
	}
}

func badCounts(what string) error {
	return &Fault{Kind: ErrProtocol, Message: abi.ExportStats + ": " + what}
}

// evictionInterval is how often the log repeats that a guest evicts.
const evictionInterval = time.Minute

// evictionsTold is what the log has about evictions. Only the counting step uses it.
type evictionsTold struct {
	evicted uint64
	next    time.Time
}

// Count is a step of counting: it asks those shards that were written to since the
// last step and are not in use. It logs evictions: at once the first time, and then
// their number once a minute.
func (st *Store) Count() {
	all := make([]Counts, len(st.shards))
	for i, s := range st.shards {
		if s.mu.TryLock() {
			s.countWritten()
			s.lastCounts = s.counted.total()
			s.unlock()
		}
		all[i] = s.lastCounts
	}
	sum := st.total(all)
	if now := st.config.Now(); now.After(st.told.next) || st.told.next.Sub(now) > evictionInterval {
		if st.logEvictions(sum) {
			st.told.next = now.Add(evictionInterval)
		}
	}
}

// CountLast logs the evictions that no Count has seen, such as all those of a program
// that runs for less than a second. It is for a closed store.
func (st *Store) CountLast() {
	all := make([]Counts, len(st.shards))
	for i, s := range st.shards {
		s.mu.Lock()
		all[i] = s.counted.total()
		s.unlock()
	}
	st.logEvictions(st.total(all))
}

// total adds up the counts of shards. If records are stored elsewhere, each shard
// reports what all of them hold, but only its own removals.
func (st *Store) total(shards []Counts) (sum Counts) {
	for _, c := range shards {
		if st.remote() && sum.Told && c.Told {
			c.Records, c.Bytes = 0, 0
		}
		sum.add(c)
	}
	return sum
}

// countWritten asks the guest for its counts if it was written to. The shard's lock is held.
func (s *shard) countWritten() {
	if s.progress.written.Load() != s.counted.at {
		s.askCounts()
	}
}

func (st *Store) logEvictions(sum Counts) (told bool) {
	if sum.Evicted <= st.told.evicted {
		return false
	}
	evicted := sum.Evicted - st.told.evicted
	st.told.evicted = sum.Evicted
	what := "its limits"
	switch sum.Limit {
	case "":
	case abi.ConfigMemoryLimit:
		what = "MemoryLimit"
	default:
		what = "the setting " + sum.Limit
	}
	st.config.Logger.Warn("the engine is full and evicts sessions that have not ended: raise "+what,
		"plugin", st.Name(), "evicted", evicted, "evicted_altogether", sum.Evicted, "records", sum.Records, "bytes", sum.Bytes,
		"limit", sum.Limit, "memory_limit", st.config.MemoryLimit*int64(len(st.shards)))
	return true
}
