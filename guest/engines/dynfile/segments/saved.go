package segments

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/xxhash"
)

// Unreadable data at the end of a segment may have been torn by a power loss, or
// it was saved and is now damaged. Records say how much before them was durable,
// but nothing follows the last one. So each save notes in a file of its own how
// far the segments that have no hint yet are durable. The note is not synced:
// whatever survives of it was true when it was written, and stays true.
const (
	savedName  = "saved"
	savedMagic = "waddysav"

	// The file has two slots, which are written in turn: if one is torn, the
	// other remains.
	savedSlot   = 1024
	savedHeader = 24 // magic, checksum, number of entries, turn
	savedEntry  = 16 // salt and number of a segment, and how much of it is durable, in units
	maxSaved    = (savedSlot - savedHeader) / savedEntry
)

// saved is the file.
type saved struct {
	file  vfs.File // nil if not open
	turn  uint64
	noted map[uint32]savedNote // by number, as last written
	room  []*segment           // for durable
}

// savedNote is how far a segment is durable. The salt distinguishes it from
// another segment that got the same number after a power loss.
type savedNote struct {
	salt    uint64
	durable int64
}

func (g *segment) savedNote() savedNote { return savedNote{g.salt, g.synced} }

func (s *Store) savedPath() string { return s.dir + "/" + savedName }

// noteSaved writes down how far segments are durable. If it fails, the save does
// not: what was saved is saved.
func (s *Store) noteSaved() {
	durable := s.durable()
	if len(durable) == len(s.saved.noted) && !slices.ContainsFunc(durable, func(g *segment) bool {
		return s.saved.noted[g.number] != g.savedNote()
	}) {
		return
	}
	if s.saved.file == nil {
		file, err := s.fs.OpenFile(s.savedPath(), vfs.ReadWrite|vfs.Create)
		if err != nil {
			return
		}
		s.saved.file = file
	}
	s.saved.turn++
	if _, err := s.saved.file.WriteAt(encodeSaved(durable, s.saved.turn), int64(s.saved.turn%2)*savedSlot); err != nil {
		s.closeSaved()
		return
	}
	clear(s.saved.noted)
	for _, g := range durable {
		s.saved.noted[g.number] = g.savedNote()
	}
}

// durable returns the segments to be noted, the newest if there are too many.
func (s *Store) durable() []*segment {
	durable := s.saved.room[:0]
	for _, g := range s.table {
		if g != nil && g.synced > recordsAt && g.hint == 0 && !g.drained && !g.suspect && !g.uncertain {
			durable = append(durable, g)
		}
	}
	if len(durable) > maxSaved {
		slices.SortFunc(durable, func(a, b *segment) int { return cmp.Compare(b.number, a.number) })
		durable = durable[:maxSaved]
	}
	s.saved.room = durable
	return durable
}

func (s *Store) closeSaved() {
	if s.saved.file != nil {
		_ = s.saved.file.Close()
		s.saved.file = nil
	}
}

func encodeSaved(durable []*segment, turn uint64) []byte {
	b := make([]byte, savedHeader, savedSlot)
	copy(b, savedMagic)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(durable)))
	binary.LittleEndian.PutUint64(b[16:], turn)
	for _, g := range durable {
		b = binary.LittleEndian.AppendUint64(b, g.salt)
		b = binary.LittleEndian.AppendUint32(b, g.number)
		b = binary.LittleEndian.AppendUint32(b, uint32(g.synced/unit))
	}
	binary.LittleEndian.PutUint32(b[8:], uint32(xxhash.Sum(0, b[12:])))
	return b
}

// readSaved reads the newest slot that is whole.
func (s *Store) readSaved() {
	s.saved.noted = make(map[uint32]savedNote)
	file, err := s.fs.OpenFile(s.savedPath(), 0)
	if err != nil {
		return // without it, nobody knows whether the end of a segment had been saved
	}
	defer file.Close()
	b := make([]byte, 2*savedSlot)
	n, _ := file.ReadAt(b, 0)
	for b = b[:n]; len(b) > 0; b = b[min(len(b), savedSlot):] {
		turn, noted, ok := decodeSaved(b[:min(len(b), savedSlot)])
		if !ok {
			continue
		}
		for number := range noted {
			s.nextNumber = max(s.nextNumber, number+1) // so that it is not used again
		}
		if turn > s.saved.turn {
			s.saved.turn, s.saved.noted = turn, noted
		}
	}
}

// durableOf returns how far a segment is known to be durable.
func (s *saved) durableOf(g *segment) int64 {
	if note := s.noted[g.number]; note.salt == g.salt {
		return max(note.durable, recordsAt)
	}
	return recordsAt
}

func decodeSaved(b []byte) (turn uint64, noted map[uint32]savedNote, ok bool) {
	if len(b) < savedHeader || string(b[:8]) != savedMagic {
		return 0, nil, false
	}
	end := savedHeader + int64(binary.LittleEndian.Uint32(b[12:]))*savedEntry
	if end > int64(len(b)) || uint32(xxhash.Sum(0, b[12:end])) != binary.LittleEndian.Uint32(b[8:]) {
		return 0, nil, false
	}
	noted = make(map[uint32]savedNote)
	for entry := b[savedHeader:end]; len(entry) > 0; entry = entry[savedEntry:] {
		noted[binary.LittleEndian.Uint32(entry[8:])] = savedNote{
			salt:    binary.LittleEndian.Uint64(entry),
			durable: int64(binary.LittleEndian.Uint32(entry[12:])) * unit,
		}
	}
	return binary.LittleEndian.Uint64(b[16:]), noted, true
}
