package plugin

import (
	"context"
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
	if in == nil || in.stats == nil {
		return
	}
	s.counted.at = s.progress.written.Load()
	list, err := in.doStats()
	if err == nil {
		var told Counts
		if told, err = parseCounts(list); err == nil {
			s.counted.now = told
			return
		}
	}
	switch code, answered := codeOf(err); {
	case answered && code == abi.Unsupported:
		in.stats = nil // it answers so always
	case !answered:
		_ = s.failed(in, "stats", err) // which is in the log
	}
}

func (in *instance) doStats() ([]byte, error) {
	if err := in.run(in.stats, in.plugin.callLimit()); err != nil {
		return nil, err
	}
	return in.result(maxDescription)
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
			c.Limit = clean(string(cut([]byte(value), maxDescribed)))
			continue
		}
		var n uint64
		switch name {
		case abi.StatsRecords, abi.StatsBytes, abi.StatsEvicted, abi.StatsExpired:
			var err error
			// 18 digits: what is added up over shards stays within 64 bits.
			if n, err = strconv.ParseUint(value, 10, 63); err != nil || len(value) > 18 {
				return c, badCounts(name + " is " + strconv.Quote(clean(string(cut([]byte(value), maxDescribed)))) +
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
	return &fault{kind: ErrProtocol, message: abi.ExportStats + ": " + what}
}

const (
	// countInterval is how often a guest that was written to is asked whether
	// it has evicted.
	countInterval = time.Second
	// evictionInterval is how often the log says that it goes on.
	evictionInterval = time.Minute
)

// countLoop has the log say when the guest evicts: at once the first time, and
// then how often in each interval.
func (p *Plugin) countLoop(ctx context.Context) {
	ticker := time.NewTicker(p.config.countInterval)
	defer ticker.Stop()
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var sum Counts
		for _, s := range p.shards {
			if s.mu.TryLock() {
				if s.progress.written.Load() != s.counted.at {
					s.count()
				}
				s.lastCounts = s.counted.total()
				s.mu.Unlock()
			}
			sum.add(s.lastCounts)
		}
		if now := p.config.Now(); sum.Evicted > p.evictionsTold && (now.After(next) || next.Sub(now) > evictionInterval) {
			p.logEvictions(sum)
			next = now.Add(evictionInterval)
		}
	}
}

// countLast has the log say what the loop, which has ended, did not come to: as
// all that a program evicts which runs for less than a second.
func (p *Plugin) countLast() {
	var sum Counts
	for _, s := range p.shards {
		s.mu.Lock()
		sum.add(s.counted.total())
		s.mu.Unlock()
	}
	if sum.Evicted > p.evictionsTold {
		p.logEvictions(sum)
	}
}

func (p *Plugin) logEvictions(sum Counts) {
	evicted := sum.Evicted - p.evictionsTold
	p.evictionsTold = sum.Evicted
	what := "its limits"
	switch sum.Limit {
	case "":
	case abi.ConfigMemoryLimit:
		what = "MemoryLimit"
	default:
		what = "the setting " + sum.Limit
	}
	p.config.Logger.Warn("the engine is full and evicts sessions that have not ended: raise "+what,
		"plugin", p.config.Name, "evicted", evicted, "evicted_altogether", sum.Evicted, "records", sum.Records, "bytes", sum.Bytes,
		"limit", sum.Limit, "memory_limit", p.config.shardLimit*int64(len(p.shards)))
}
