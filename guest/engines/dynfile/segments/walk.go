package segments

import (
	"errors"

	"github.com/waddle-sessions/waddle/guest"
)

// Walks go from the last slot to the first. A removal moves the last slot into the
// gap. On the way down a slot may therefore be met twice, but a slot that was not yet
// met stays below.

const (
	sweepPerSet  = 2    // slots that every Set looks at for expired sessions
	sweepPerSave = 64   // slots that Save looks at
	maxWalk      = 2048 // slots that one chunk of an enumeration looks at

	bytesPerSwept = 512     // that Sweep goes through on disk, for each slot it may look at
	syncCold      = 1 << 20 // bytes of copies that wait for a sync; Sweep keeps syncs short by it
)

// Save returns when everything that was written before is durable.
func (s *Store) Save(now int64) error {
	s.tick(now)
	if s.gone {
		return errGone
	}
	err := s.syncAll(false)
	if err != nil && s.spend(err) { // after a failed sync, its records are written again
		err = s.syncAll(false)
	}
	if err != nil {
		return err
	}
	if err := s.release(); err != nil {
		// What was to be saved is saved. Only space is not freed.
		if !s.troubled {
			guest.Log(guest.LevelWarn, "dynfile: space cannot be freed for now: "+err.Error())
		}
		s.troubled = true
	}
	s.noteSaved()
	s.sweep(sweepPerSave, now)
	s.restore()
	return nil
}

// Sweep looks at the next max sessions and removes the expired ones, and continues to
// free the space that they and others have left on disk.
func (s *Store) Sweep(max int, now int64) (removed int, err error) {
	s.swept = now
	s.tick(now)
	removed = s.sweep(min(max, int(s.index.count)), now)
	s.background(min(max, maxStep/bytesPerSwept) * bytesPerSwept)
	if s.cold != nil && s.cold.size-s.cold.synced > syncCold {
		err = s.sync(s.cold)
	}
	if err == nil {
		err = s.release()
	}
	s.restore()
	return removed, err
}

// believed is the time by which an operation removes other expired sessions: its own
// time, but no later than the time that Sweep was last given. The host makes sure that
// the clock has not leapt there. A write's clock may have leapt, and be right again in
// the next.
func (s *Store) believed(now int64) int64 {
	if s.swept == 0 {
		return now // nobody sweeps
	}
	return min(now, s.swept)
}

func (s *Store) sweep(slots int, now int64) (removed int) {
	for ; slots > 0 && s.index.count > 0; slots-- {
		if s.sweepAt == 0 || s.sweepAt > s.index.count {
			s.sweepAt = s.index.count
		}
		s.sweepAt--
		if sl := s.index.slot(s.sweepAt); sl.expired(now) {
			s.expire(s.sweepAt, sl)
			removed++
		}
	}
	return removed
}

// Clear removes all sessions. It makes a new segment, which says that nothing in the
// others counts, and then removes those.
func (s *Store) Clear(now int64) error {
	s.tick(now)
	if s.gone {
		return errGone
	}
	floor := s.nextSeq
	g, err := s.create(floor)
	if err != nil && s.spend(err) {
		g, err = s.create(floor)
	}
	if err != nil {
		return err
	}
	s.floor = floor
	s.hot, s.cold = g, nil
	s.compaction.victim, s.compaction.scan = nil, nil
	s.index.reset()
	s.kept.clear()
	s.live = 0
	for _, other := range s.table {
		if other != nil && other != g {
			other.live, other.liveCount, other.suspect, other.drained = 0, 0, false, true
		}
	}
	// It is done; if something fails now, Save tries it again.
	if err := s.release(); err != nil {
		guest.Log(guest.LevelWarn, "dynfile: space cannot be freed for now: "+err.Error())
	}
	return nil
}

// Keys adds keys to a chunk.
func (s *Store) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	s.tick(now)
	return s.walk(cursor, now, func(sl *slot) (bool, error) {
		key, _, err := s.read(sl)
		return err != nil || chunk.Add(key), err
	})
}

// Snapshot adds sessions to a chunk.
func (s *Store) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	s.tick(now)
	return s.walk(cursor, now, func(sl *slot) (bool, error) {
		key, value, err := s.read(sl)
		return err != nil || chunk.Add(key, value, sl.expires), err
	})
}

// walk passes sessions that have not expired to add, until add declines one, and skips
// damaged ones. A cursor is the number of the slot that was met last, plus one so that
// it is not 0.
func (s *Store) walk(cursor, now int64, add func(*slot) (bool, error)) (next int64, err error) {
	at := int64(s.index.count)
	if cursor > 0 {
		at = min(at, cursor-1)
	}
	for walked := 0; at > 0; walked++ {
		sl := s.index.slot(uint32(at - 1))
		if walked == maxWalk {
			return at + 1, nil
		}
		if !sl.expired(now) {
			added, err := add(sl)
			if err != nil && !errors.Is(err, guest.ErrCorrupt) {
				return 0, err
			}
			if !added {
				return at + 1, nil
			}
		}
		at--
	}
	return 0, nil
}

var (
	_ guest.Toucher     = (*Store)(nil)
	_ guest.Sweeper     = (*Store)(nil)
	_ guest.Lister      = (*Store)(nil)
	_ guest.Snapshotter = (*Store)(nil)
)
