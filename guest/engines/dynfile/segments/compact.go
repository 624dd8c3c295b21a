package segments

import (
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Compaction moves what is needed out of a segment, the victim, into the cold
// segment. It removes the victim when everything that takes its place is durable:
// the records that were moved, and the newer ones because of which others were left
// behind. Until then the victim stays, and after a power loss both are found.

// compaction is the state of a move, which goes in steps.
type compaction struct {
	mover
	buffer []byte // the scanner's, kept for reuse
}

// mover takes the needed records out of a segment.
type mover struct {
	victim *segment
	scan   *scanner
	// stays: the victim will not be removed.
	stays bool

	out   []byte // records to be written
	moves []move
	done  int64 // offset in the victim up to which they have been written
}

type move struct {
	record
	from, to place
}

// choose picks the segment that is most worth compacting; it is then the victim, or
// already drained. choose returns false if none is worth the work.
func (s *Store) choose() bool {
	var (
		best               *segment
		bestShare          = int64(75) // percentage that is waste
		oldest, smallest   *segment
		segments           int64
		tombs              int64
		waste              = s.total - s.live
		least, secondLeast = s.leastFirsts()
	)
	switch {
	case s.tight():
		bestShare = 4
	case waste > s.live+2*s.options.SegmentBytes:
		bestShare = 25
	}
	for _, g := range s.table {
		if g == nil || g == s.hot || g == s.cold || g.drained || g.suspect || g.stuck {
			continue
		}
		segments++
		beside := least
		if g.first == least {
			beside = secondLeast
		}
		kept := g.live
		if g.tombs > 0 && s.needsTombstone(beside, g.tombSeq, g.tombExpires) {
			kept += g.tombs
			tombs += g.tombs
		}
		if s.reserve.short && kept > smallMove {
			continue
		}
		if share := (g.size - kept) * 100 / g.size; share > bestShare {
			best, bestShare = g, share
		}
		if oldest == nil || g.first < oldest.first {
			oldest = g
		}
		if smallest == nil || g.size < smallest.size {
			smallest = g
		}
	}
	switch {
	case best != nil:
	case tombs > s.live/4+s.options.SegmentBytes:
		best = oldest // it is what the tombstones guard against
	case segments > 8+2*s.total/s.options.SegmentBytes && smallest.size < s.options.SegmentBytes/4:
		best = smallest // one of many that were never filled
	default:
		return false
	}
	if s.wasted(best) {
		best.drained = true
		s.stats.Compacted++
	} else if !s.begin(best) {
		return false
	}
	return true
}

// wasted reports whether it is known, without reading a segment, that nothing in it
// is needed.
func (s *Store) wasted(g *segment) bool {
	return g.liveCount == 0 && !g.outlived &&
		(g.tombs == 0 || !s.needsTombstone(s.oldestBeside(g), g.tombSeq, g.tombExpires)) &&
		// None was swept, so others took their places; or all expired long ago.
		(g.firstExpires == 0 || g.firstExpires > s.sweptExpires || s.longExpired(g.lastExpires))
}

// leastFirsts returns the two lowest firsts of all segments.
func (s *Store) leastFirsts() (least, second uint64) {
	least, second = ^uint64(0), ^uint64(0)
	for _, g := range s.table {
		switch {
		case g == nil:
		case g.first < least:
			least, second = g.first, least
		case g.first < second:
			second = g.first
		}
	}
	return least, second
}

func (s *Store) begin(victim *segment) bool {
	file, err := s.open(victim)
	if err != nil {
		return false
	}
	if s.hinting != nil && s.hinting.segment == victim {
		s.abandonHint()
	}
	c := &s.compaction
	c.victim, c.done, c.stays = victim, recordsAt, false
	c.scan = newScanner(file, victim.seeds, victim.size, c.buffer)
	c.scan.headersOnly = true
	return true
}

// drainVictim goes through about that many bytes of the victim.
func (s *Store) drainVictim(budget int) error {
	c := &s.compaction
	victim := c.victim
	file, err := s.open(victim)
	if err != nil {
		return err
	}
	c.scan.file = file
	ended, err := s.drain(&c.mover, budget)
	if !ended {
		return err
	}
	c.buffer = c.scan.buffer
	c.victim, c.scan = nil, nil
	s.stats.Compacted++
	if victim.liveCount > 0 {
		victim.stuck = true
		guest.Log(guest.LevelError, "dynfile: segment "+fileName(victim.number, "")+" has records that cannot be read, and stays")
		return nil
	}
	victim.drained = true
	return nil
}

// drain moves records until it has gone through about budget bytes, and reports
// whether it reached the end.
func (s *Store) drain(m *mover, budget int) (ended bool, err error) {
	beside := m.victim
	if m.stays {
		beside = nil
	}
	oldest := s.oldestBeside(beside)
	for until := m.scan.at + int64(budget); m.scan.at < until; {
		f, err := m.scan.next()
		if err != nil {
			err = vfs.Answer(err, "reading a segment")
		} else if f.what == foundEnd {
			err := s.flush(m)
			return err == nil, err
		} else {
			err = s.carry(m, &f, oldest)
		}
		if err != nil {
			// What was not written yet is gone through again.
			m.out, m.moves = m.out[:0], m.moves[:0]
			m.scan.rewind(m.done)
			return false, err
		}
	}
	return false, s.flush(m)
}

// carry takes a record along if it is needed.
func (s *Store) carry(m *mover, f *find, oldest uint64) error {
	if f.what != foundRecord {
		if f.what == foundGap && f.to >= m.victim.size && m.stays {
			return nil
		}
		s.stats.Damaged++
		m.victim.unhintable = true
		return nil
	}
	from := placeOf(m.victim.slot, f.offset, f.size())
	r := f.record
	if !r.tombstone() {
		id, sl := s.index.find(r.hash)
		switch here := sl != nil && sl.at == from; {
		case here && !sl.expired(s.now):
			if m.scan.headersOnly && !m.victim.whole(f.bytes, &r) && !s.mend(f.bytes, &r) {
				f.what = foundBroken
				return s.carry(m, f, oldest)
			}
			return s.emit(m, &r, f.bytes[headerSize:headerSize+r.keyLen+r.valueLen], from)
		case here:
			s.expire(id, sl)
		case r.expires == 0 || r.expires > s.sweptExpires:
			// It was not swept, so another record took its place and covers whatever
			// it covered.
			return nil
		}
		if m.scan.headersOnly && !m.victim.whole(f.bytes, &r) {
			return nil // a write that was cut short never counted
		}
		// It may be the newest record of its key, and older ones must stay gone as
		// well.
		r.kind, r.keyLen, r.valueLen = kindTombstone, 0, 0
		if f.outlived() {
			r.expires = 0
		}
	}
	if !s.needsTombstone(oldest, r.seq, r.expires) {
		return nil
	}
	return s.emit(m, &r, nil, from)
}

// emit adds a record to those that will be written to the cold segment.
func (s *Store) emit(m *mover, r *record, body []byte, from place) error {
	size := r.size()
	if s.cold != nil && s.cold.size+int64(len(m.out)+size) > s.options.SegmentBytes {
		if err := s.flushUpTo(m, m.done); err != nil {
			return err
		}
		if s.cold != nil && s.cold.size > recordsAt {
			s.cold = nil
		}
	}
	if s.cold == nil {
		g, err := s.create(s.floor)
		if err != nil {
			return err
		}
		s.cold = g
	}
	start := len(m.out)
	for cap(m.out)-start < size {
		m.out = append(m.out[:cap(m.out)], 0)
	}
	m.out = m.out[:start+size]
	b := m.out[start:]
	copy(b[headerSize:], body)
	r.watermark = watermark(s.cold)
	offset := s.cold.size + int64(start)
	s.cold.seal(b, r, offset)
	m.moves = append(m.moves, move{*r, from, placeOf(s.cold.slot, offset, size)})
	return nil
}

// flush writes the collected records, up to the scanner's position.
func (s *Store) flush(m *mover) error {
	err := s.flushUpTo(m, m.scan.at)
	if err != nil {
		m.out, m.moves = m.out[:0], m.moves[:0]
		m.scan.rewind(m.done)
	}
	return err
}

func (s *Store) flushUpTo(m *mover, done int64) error {
	if len(m.out) > 0 {
		g := s.cold
		if _, err := g.file.WriteAt(m.out, g.size); err != nil {
			s.unwrite(g)
			return vfs.Answer(err, "writing a record")
		}
		s.grow(g, len(m.out))
		s.stats.Copied += uint64(len(m.out))
		s.reserve.spare -= int64(len(m.out))
		for i := range m.moves {
			mv := &m.moves[i]
			g.count(&mv.record)
			if _, sl := s.index.find(mv.hash); !mv.tombstone() && sl != nil && sl.at == mv.from {
				s.disown(sl)
				s.own(sl, mv.to, &mv.record)
			}
		}
		m.out, m.moves = m.out[:0], m.moves[:0]
	}
	m.done = done
	return nil
}

// release removes the segments that are no longer needed, after making everything
// durable that took their place.
func (s *Store) release() error {
	if s.countDrained() == 0 {
		return nil
	}
	if err := s.syncAll(true); err != nil {
		return err
	}
	for _, g := range s.table {
		if g != nil && g.drained {
			if err := s.forget(g); err != nil {
				return err
			}
		}
	}
	return s.syncDir()
}

// syncAll makes durable everything that an operation has written. Copies made by
// compaction are included only if asked for, since the originals are still there.
func (s *Store) syncAll(cold bool) error {
	for _, g := range s.table {
		// A copy counts if its segment was itself compacted before it was durable.
		cold = cold || g != nil && g.drained && g.synced < g.size
	}
	for slot := 0; slot < len(s.table); slot++ { // it may grow meanwhile
		g := s.table[slot]
		if g == nil || g.drained || g.synced >= g.size && !g.suspect || g == s.cold && !cold {
			continue
		}
		if g.suspect {
			if err := s.rescue(g); err != nil {
				return err
			}
			cold = true
			slot = -1 // the segment that the records were rescued to may come before
			continue
		}
		if err := s.sync(g); err != nil {
			return err
		}
	}
	if s.dirChanged {
		if err := s.syncDir(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) syncDir() error {
	if !s.dirChanged {
		return nil
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		if vfs.NotExist(err) {
			s.gone = true
			return errGone
		}
		return vfs.Answer(err, "syncing the directory")
	}
	s.dirChanged = false
	return nil
}

// rescue writes again what is needed of a segment whose sync failed, from the end of
// the part that is known to be durable.
func (s *Store) rescue(g *segment) error {
	file, err := s.open(g)
	if err != nil {
		return err
	}
	from := max(g.synced, recordsAt)
	m := &mover{victim: g, stays: true, done: from, scan: newScanner(file, g.seeds, g.size, nil)}
	m.scan.rewind(from)
	s.retire(g)
	for {
		ended, err := s.drain(m, maxStep)
		if err != nil {
			return err
		}
		if ended {
			break
		}
	}
	g.suspect, g.unhintable, g.uncertain = false, true, true
	g.synced = g.size // nothing is needed of the rest
	if from == recordsAt && g.liveCount == 0 {
		// Nothing in it was ever durable.
		return s.forget(g)
	}
	return nil
}
