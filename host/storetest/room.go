package storetest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// The specification gives no number of records that a store must hold: it may
// evict, or answer NO_SPACE, at any number. So the suite finds out how much a
// store holds, unless it is told, and asks for no more than that.

const (
	// LeastRecords is how many records a store must hold at once, in one instance,
	// for the checks that do not ask how many it holds.
	LeastRecords = 16
	// LeastBytes is what those checks store at once, at most: a few values of the
	// size that every guest must take.
	LeastBytes = 32 << 10

	// roomValue is the size of the values by which records are counted. Few checks
	// have larger ones on average.
	roomValue = 300
	// roomBlock is the size of the values by which bytes are counted.
	roomBlock = 16 << 10
)

// roomLevels and byteLevels are how far a store is filled to find out: no further
// than some check needs, since every record may go to a disk.
var (
	roomLevels = []int{64, 256, 1024, 2500, 5000}
	byteLevels = []int{64 << 10, 512 << 10, 3 << 20}
)

// measure identifies a measurement: the number of shards, how many records the
// store was filled with, and their size.
type measure struct{ shards, records, size int }

// Records returns how many of the n records that a check would like to store at
// once it may store: all of them, or as many as the store holds. It skips the
// check if that is less than least.
func (p *Probe) Records(n, least int) int { return p.RecordsIn(Setup{}, n, least) }

// RecordsIn is [Probe.Records] for a store that is opened with a setup.
func (p *Probe) RecordsIn(setup Setup, n, least int) int {
	p.asked = true
	held := p.suite.options.Records
	switch {
	case held > 0:
	case setup.Shards > 1: // one of which may be full when the others are empty
		held = p.measureRecords(setup, n)
	case n > LeastRecords:
		held = max(p.measureRecords(setup, n), LeastRecords)
	default:
		held = n
	}
	if held < n && (p.suite.report.Records == 0 || held < p.suite.report.Records) {
		p.suite.report.Records = held
	}
	if held < least {
		p.Skip(fmt.Sprintf("not checked: the store holds %d records at once, and this takes %d (Options.Records, waddle test --records)", held, least))
	}
	return min(n, held)
}

// ValueSize returns the size of the largest value that a check may store beside
// others, at most n bytes.
func (p *Probe) ValueSize(n int) int {
	n = min(n, p.suite.options.MaxValue)
	if n <= LeastBytes/4 {
		return n
	}
	return min(n, max(p.bytes(2*n)/2, LeastBytes/4))
}

// bytes returns how many of n bytes the store holds at once.
func (p *Probe) bytes(n int) int {
	if told := p.suite.options.Bytes; told > 0 {
		return min(n, told)
	}
	size := min(roomBlock, p.suite.options.MaxValue)
	level := levelOf(byteLevels, n)
	held := p.fillUp(measure{records: (level + size - 1) / size, size: size}, Setup{}) * size
	if held >= level {
		return n
	}
	if p.suite.report.Bytes == 0 || held < p.suite.report.Bytes {
		p.suite.report.Bytes = held
	}
	return min(n, held)
}

// measureRecords returns how many records a store with a setup holds, or n if it
// holds as many.
func (p *Probe) measureRecords(setup Setup, n int) int {
	shards := setup.Shards
	// Keys do not spread evenly: one shard is full before the others.
	if shards > 1 {
		n *= 2
	}
	level := levelOf(roomLevels, n)
	held := p.fillUp(measure{shards, level, roomValue}, setup)
	switch {
	case held >= level:
		return n
	case shards > 1:
		return held / 2
	}
	return held - held/8 // values differ in size, and so does their overhead
}

func levelOf(levels []int, n int) int {
	for _, level := range levels {
		if n <= level {
			return level
		}
	}
	return n
}

// fillUp stores records in a store of its own until it answers NO_SPACE or has the
// requested number. It returns how many of them are there then: a store that
// evicts holds at least that many. Anything else that goes wrong is left to the
// checks to find.
func (p *Probe) fillUp(m measure, setup Setup) int {
	if held, known := p.suite.rooms[m]; known {
		return held
	}
	held := m.records
	trial := &Probe{suite: p.suite, test: p.test}
	_ = trial.guard(func() {
		s, key := trial.Open(Setup{Shards: setup.Shards}), func(i int) []byte { return fmt.Appendf(nil, "room for the key %d", i) }
		stored, found := 0, 0
		for ; stored < m.records; stored++ {
			err := s.target.Set(s.ctx(), store.Write{Key: key(stored), Value: filled(uint64(stored+1), m.size), Now: Now})
			if errors.Is(err, store.ErrNoSpace) {
				break
			} else if err != nil {
				return
			}
		}
		for i := range stored {
			_, err := s.target.Get(s.ctx(), key(i), Now)
			if err == nil {
				found++
			} else if !errors.Is(err, store.ErrNotFound) {
				return
			}
		}
		held = found
	})
	_ = trial.guard(trial.end)
	if err := p.suite.ctx.Err(); err != nil {
		p.Skip("the run was ended: " + err.Error())
	}
	p.suite.rooms[m] = held
	return held
}

// aboutRoom is what a failure adds to what was expected if a store that holds less
// than the suite assumed would also fail.
func (p *Probe) aboutRoom(err error) string {
	switch {
	case errors.Is(err, store.ErrNoSpace):
	case errors.Is(err, store.ErrNotFound) && p.asked:
	default:
		return ""
	}
	return fmt.Sprintf("\n(A store may evict, or answer NO_SPACE, at any number of records. The suite fills one to find out at which, and asks of"+
		"\nany for %d records and %d bytes. If this one holds less than the suite found, tell it: Options.Records and Options.Bytes,"+
		"\nwaddle test --records and --bytes.)", LeastRecords, LeastBytes)
}
