package segments

import "fmt"

// WithHash replaces the hash of keys.
func WithHash(hash func([]byte) uint64) func(*Options) { return func(o *Options) { o.hash = hash } }

// Verify checks that the accounts agree with the index, and the index with
// itself.
func (s *Store) Verify() error {
	live := make(map[uint16]int64)
	counts := make(map[uint16]int)
	var all int64
	for id := range s.index.count {
		sl := s.index.slot(id)
		if found, _ := s.index.find(sl.hash); found != id {
			return fmt.Errorf("slot %d is not found by its hash", id)
		}
		if int(sl.at.segment()) >= len(s.table) || s.table[sl.at.segment()] == nil {
			return fmt.Errorf("slot %d lies in segment %d, which is not there", id, sl.at.segment())
		}
		if g := s.table[sl.at.segment()]; sl.at.offset()+int64(sl.at.size()) > g.size {
			return fmt.Errorf("slot %d ends behind its segment", id)
		}
		if sl.flags&slotGone != 0 {
			return fmt.Errorf("slot %d is gone", id)
		}
		live[sl.at.segment()] += int64(sl.at.size())
		counts[sl.at.segment()]++
		all += int64(sl.at.size())
	}
	if all != s.live {
		return fmt.Errorf("%d bytes are live, and %d are thought to be", all, s.live)
	}
	total, files := int64(0), 0
	for i, g := range s.table {
		if g == nil {
			continue
		}
		if g.live != live[uint16(i)] || g.liveCount != counts[uint16(i)] {
			return fmt.Errorf("segment %d has %d live records, and %d are thought to be", g.number, counts[uint16(i)], g.liveCount)
		}
		if g.drained && g.liveCount > 0 {
			return fmt.Errorf("segment %d is drained and has %d live records", g.number, g.liveCount)
		}
		if g.file != nil {
			files++
		}
		total += g.size + g.hint
	}
	if total != s.total || files != s.openFiles {
		return fmt.Errorf("%d bytes in files, %d open, and %d, %d are thought to be", total, files, s.total, s.openFiles)
	}
	return nil
}

// ExpiryOf returns when a session expires.
func (s *Store) ExpiryOf(key []byte) (int64, bool) {
	_, sl := s.index.find(s.hashOf(key))
	if sl == nil {
		return 0, false
	}
	return sl.expires, true
}
