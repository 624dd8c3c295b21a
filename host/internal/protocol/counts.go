package protocol

import (
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

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

// add makes the counts of all shards.
func (c *Counts) add(other Counts) {
	if !other.Told {
		return
	}
	if !c.Told {
		*c = other
		return
	}
	c.Records, c.Bytes = addKnown(c.Records, other.Records), addKnown(c.Bytes, other.Bytes)
	// The limit that is in the way is that of the shard that evicts.
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

// counted is what a shard knows of its guest's counts. Its lock is held.
type counted struct {
	now  Counts // of the instance that runs, as it told last
	past Counts // Evicted and Expired of those before it
	at   uint64 // how many writes there were then
}

func (c *counted) total() Counts {
	sum := c.now
	sum.Evicted += c.past.Evicted
	sum.Expired += c.past.Expired
	sum.Told = sum.Told || c.past.Told
	return sum
}

// replaced says that another instance begins at nothing.
func (c *counted) replaced() {
	c.past = c.total()
	c.now = Counts{Told: c.past.Told, Limit: c.past.Limit}
}

// count asks the guest what it holds and has given up. The shard's lock is held.
// An instance that fails at it is ended, as at any operation.
func (s *shard) count() {
	in := s.in
	if in == nil || in.lacks.stats {
		return
	}
	s.counted.at = s.progress.written.Load()
	list, err := in.Stats()
	if err == nil {
		var told Counts
		if told, err = parseCounts(list); err == nil {
			s.counted.now = told
			return
		}
	}
	switch code, answered := CodeOf(err); {
	case answered && code == abi.Unsupported:
		in.lacks.stats = true
	case !answered:
		_ = s.failed(in, "stats", err) // which is in the log
	}
}

// parseCounts takes the answer of session_stats.
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
			// 18 digits: what is added up over shards stays within 64 bits.
			if n, err = strconv.ParseUint(value, 10, 63); err != nil || len(value) > 18 {
				return c, badCounts(name + " is " + strconv.Quote(short(value)) +
					", and should be a number of up to 18 digits")
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

// evictionInterval is how often the log says that a guest goes on evicting.
const evictionInterval = time.Minute

// evictionsTold is what the log has of evictions; the counting step's.
type evictionsTold struct {
	evicted uint64
	next    time.Time
}

// Count is a step of counting: it asks shards that were written to since the last one,
// and that are not in use, and has the log say when the guest evicts: at once the
// first time, and then how often in each minute.
func (st *Store) Count() {
	all := make([]Counts, len(st.shards))
	for i, s := range st.shards {
		if s.mu.TryLock() {
			s.countWritten()
			s.lastCounts = s.counted.total()
			s.release()
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

// CountLast has the log say what no Count came to: as all that a program evicts which
// runs for less than a second. It is for a store that was closed.
func (st *Store) CountLast() {
	all := make([]Counts, len(st.shards))
	for i, s := range st.shards {
		s.mu.Lock()
		all[i] = s.counted.total()
		s.release()
	}
	st.logEvictions(st.total(all))
}

// total adds up what shards tell. Of a guest whose records lie elsewhere each tells
// what all of them hold, and for itself what it removed.
func (st *Store) total(shards []Counts) (sum Counts) {
	for _, c := range shards {
		if st.remote() && sum.Told && c.Told {
			c.Records, c.Bytes = 0, 0
		}
		sum.add(c)
	}
	return sum
}

// countWritten asks the guest if it was written to. The shard's lock is held.
func (s *shard) countWritten() {
	if s.progress.written.Load() != s.counted.at {
		s.count()
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
