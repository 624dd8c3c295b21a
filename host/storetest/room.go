package storetest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// The specification names no number of records that a store must hold: it may
// evict, or answer NO_SPACE, at any. So the suite finds out how much a store
// holds, unless it is told, and asks for no more than that.

const (
	// LeastRecords is how many records a store has to hold at once, in one
	// instance, for the checks that do not ask how many it holds.
	LeastRecords = 16
	// LeastBytes is what those checks store at once, at most: a few values of the
	// size that every guest must take.
	LeastBytes = 32 << 10

	// roomValue is the size of the values by which records are counted. Few
	// checks have larger ones on the average.
	roomValue = 300
	// roomBlock is the size of those by which bytes are counted.
	roomBlock = 16 << 10
)

// roomLevels and byteLevels are how far a store is filled to find out: no
// further than some check needs, since every record can be a matter for a disk.
var (
	roomLevels = []int{64, 256, 1024, 2500, 5000}
	byteLevels = []int{64 << 10, 512 << 10, 3 << 20}
)

// measure says what was measured: with so many shards, filled so far, by records
// of that size.
type measure struct{ shards, records, size int }

// Records returns how many records a check may have stored at once, of the n that
// it would like to: all of them, or as many as the store holds. It skips the check
// if that is less than least.
func (p *Probe) Records(n, least int) int { return p.RecordsIn(Setup{}, n, least) }

// RecordsIn is [Probe.Records] for a store that is opened with a setup.
func (p *Probe) RecordsIn(setup Setup, n, least int) int {
	p.asked = true
	held := p.suite.options.Records
	switch {
	case held > 0:
	case setup.Shards > 1: // of which one may be full when the others have nothing
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
		p.Skip(fmt.Sprintf("not asked: the store holds %d records at once, and this takes %d (Options.Records, waddle test --records)", held, least))
	}
	return min(n, held)
}

// ValueSize returns the size of the largest value that a check may store beside
// others, of the n bytes that it would like to.
func (p *Probe) ValueSize(n int) int {
	n = min(n, p.suite.options.MaxValue)
	if n <= LeastBytes/4 {
		return n
	}
	return min(n, max(p.bytes(2*n)/2, LeastBytes/4))
}

// bytes returns how many bytes of n the store holds at once.
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

// measureRecords returns how many records the store holds that is opened with a
// setup, or n if it holds as many.
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
	return held - held/8 // values differ, and so does what is kept with them
}

func levelOf(levels []int, n int) int {
	for _, level := range levels {
		if n <= level {
			return level
		}
	}
	return n
}

// fillUp stores records in a store of its own until it answers NO_SPACE or has
// as many as asked, and returns how many of them are there then: a store that
// evicts holds that many at least. What else may go wrong is left to the checks
// to find.
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

// aboutRoom is what a failure adds to what was expected where a store that holds
// less than was taken for granted would fail too.
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
