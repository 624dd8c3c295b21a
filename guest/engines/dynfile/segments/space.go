package segments

import (
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
)

// If space is bounded, two segments are in reserve: one for tombstones, so that a
// full store can be emptied, and one for compaction, which writes before it
// removes. Sessions may take three quarters of the rest. At least a quarter of
// what is written is then waste, so freeing a byte takes moving at most three,
// however full the store is.

// maxTouched is the largest record for which Touch makes space. A larger one may
// be refused until more is freed.
const maxTouched = 64 << 10

// budget is how much segments may take before sessions find no room.
func (s *Store) budget() int64 { return s.options.MaxBytes - 2*s.options.SegmentBytes }

// tight reports whether space is running out.
func (s *Store) tight() bool {
	return s.reserve.short || s.options.MaxBytes > 0 && s.total > s.budget()/16*15
}

// admit decides whether there is room for a session of a size, in place of a
// slot's.
func (s *Store) admit(sl *slot, size int) error {
	old := int64(0)
	if sl != nil {
		old = int64(sl.at.size())
	} else if err := s.admitSession(); err != nil {
		return err
	}
	if s.options.MaxBytes > 0 {
		if s.live-old+int64(size) > s.budget()/4*3 {
			return errFull
		}
		if s.total+int64(size)+recordsAt > s.budget() {
			return errWaiting
		}
	}
	if s.reserve.short && !s.demand() {
		return errShort
	}
	return nil
}

// admitSession decides whether the index has room for one more session, and warns
// when it soon has none.
func (s *Store) admitSession() error {
	most, have := s.options.MaxSessions, int64(s.index.count)
	switch {
	case most == 0:
	case have >= most:
		s.stats.Crowded = true
		return errSessions
	case have >= most/8*7 && !s.crowded:
		s.crowded = true
		guest.Log(guest.LevelWarn, "dynfile: there are "+strconv.FormatInt(have, 10)+" sessions, and memory_limit has room for "+
			strconv.FormatInt(most, 10)+": raise it before new ones are refused")
	case have < most/4*3:
		s.crowded = false
	}
	return nil
}

func (s *Store) admitTombstone() error {
	if s.options.MaxBytes > 0 && s.total+headerSize+recordsAt > s.options.MaxBytes-s.options.SegmentBytes {
		return errWaiting
	}
	return nil
}

// makeSpace frees space at once if there is none for a record of a size. Usually
// the background work has already done so.
func (s *Store) makeSpace(size int) error {
	if s.options.MaxBytes == 0 {
		return nil
	}
	for range 3 {
		if s.total+int64(size)+recordsAt <= s.budget() {
			return nil
		}
		if s.countDrained() > 0 {
			if err := s.release(); err != nil {
				return err
			}
			continue
		}
		if s.compaction.victim == nil && !s.choose() {
			return nil // admit knows whether that is too little
		}
		// There may be no victim but one that was drained at once.
		for s.compaction.victim != nil {
			if err := s.drainVictim(stepBytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// Writes pay for background work: for each byte written, that many may be gone
// through.
const (
	paceNormal = 4
	paceTight  = 16
	stepBytes  = 64 << 10  // that one step usually goes through
	maxStep    = 512 << 10 // that one call goes through
	maxCredit  = 16 << 20  // that is kept, after large records, for the next calls
)

// earn lets the background work continue when enough was written.
func (s *Store) earn(written int) {
	pace := int64(paceNormal)
	if s.tight() {
		pace = paceTight
	}
	s.credit += int64(written) * pace
	if s.credit < stepBytes {
		return
	}
	budget := min(s.credit, maxStep)
	s.credit = min(s.credit-budget, maxCredit)
	s.background(int(budget))
}

// background moves what is needed out of segments that are mostly waste, and
// writes hints. An error does not belong to the operation that paid for the work:
// it is logged, and the work is tried again later.
func (s *Store) background(budget int) {
	err := s.work(budget)
	if err != nil && !s.troubled {
		guest.Log(guest.LevelWarn, "dynfile: space cannot be freed for now: "+err.Error())
	}
	s.troubled = err != nil
}

func (s *Store) work(budget int) error {
	if waiting := s.countDrained(); waiting >= maxDrained || waiting > 0 && s.tight() {
		if err := s.release(); err != nil {
			return err
		}
	}
	if s.reserve.short {
		s.retireWaste()
		if c := &s.compaction; c.victim != nil && c.victim.live > smallMove {
			c.victim, c.scan = nil, nil // to be done when there is room
		}
	}
	if s.compaction.victim != nil || s.choose() {
		if s.compaction.victim == nil {
			return nil // it was drained at once
		}
		err := s.drainVictim(budget)
		if err != nil && s.spend(err) {
			// It continues with the room that there is now, before the reserve
			// takes that again.
			s.reserve.wait = reserveEvery - 1
			return s.work(budget)
		}
		return err
	}
	if s.reserve.short {
		return nil // a hint takes room
	}
	return s.hintStep(budget)
}

// maxDrained is how many segments may wait for Save or Sweep to remove them.
const maxDrained = 16

func (s *Store) countDrained() (n int) {
	for _, g := range s.table {
		if g != nil && g.drained {
			n++
		}
	}
	return n
}
