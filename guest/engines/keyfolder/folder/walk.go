package folder

import (
	"slices"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// Limits on one call of Keys or Snapshot.
const (
	walkRecords = 256
	walkDirs    = 64
)

// Keys adds keys to a chunk. The cursor is the first 62 bits of the id at which
// the next call begins, plus one.
func (s *Store) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	return s.walk(cursor, now, func(r *record) bool { return chunk.Add(r.key) })
}

// Snapshot adds records to a chunk. The cursor is that of Keys.
func (s *Store) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	return s.walk(cursor, now, func(r *record) bool { return chunk.Add(r.key, r.value, r.expires) })
}

// walk goes through the records in the order of their ids and skips damaged ones.
func (s *Store) walk(cursor, now int64, add func(*record) bool) (next int64, err error) {
	start := max(cursor-1, 0)
	if start >= 1<<prefixBits {
		return 0, guest.Fail(guest.ErrInvalid, "the cursor is not one that this engine gave")
	}
	dirs, records := 0, 0
	topList, err := s.listNumbers(s.paths.live, 2)
	if err != nil {
		return 0, vfs.Answer(err, "listing the records")
	}
	for _, top := range topList {
		if top < leafOf(start)>>4 {
			continue
		}
		dirs++
		leafList, err := s.listNumbers(s.paths.top(top), 1)
		if err != nil {
			return 0, vfs.Answer(err, "listing the records")
		}
		for _, low := range leafList {
			leaf := top<<4 | low
			if leaf < leafOf(start) {
				continue
			}
			if dirs++; dirs > walkDirs || records > walkRecords {
				return max(start, firstIn(leaf)) + 1, nil
			}
			ids, err := s.listLeaf(leaf)
			if err != nil {
				return 0, vfs.Answer(err, "listing the records")
			}
			for _, i := range ids {
				if i.prefix() < start {
					continue
				}
				if records++; records > walkRecords {
					return i.prefix() + 1, nil
				}
				r, err := s.load(i, nil, nil)
				if err == guest.ErrNotFound || isDamage(err) || err == nil && guest.Expired(r.expires, now) {
					continue
				}
				if err != nil {
					return 0, vfs.Answer(err, "reading a record")
				}
				if !add(&r) {
					return i.prefix() + 1, nil
				}
			}
		}
	}
	return 0, nil
}

// listNumbers lists the directories whose names are numbers with that many
// hexadecimal digits, in ascending order.
func (s *Store) listNumbers(dir string, digits int) ([]int, error) {
	entries, err := s.fs.ReadDir(dir)
	if err != nil {
		return nil, ignoreNotExist(err)
	}
	numbers := make([]int, 0, len(entries))
	for _, entry := range entries {
		if entry.Kind != vfs.Dir || len(entry.Name) != digits {
			continue
		}
		number := 0
		for _, c := range []byte(entry.Name) {
			if d := digit(c); d > 15 || number < 0 {
				number = -1
			} else {
				number = number<<4 | int(d)
			}
		}
		if number >= 0 {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// listLeaf lists the folders of a leaf in ascending order.
func (s *Store) listLeaf(leaf int) ([]id, error) {
	entries, err := s.fs.ReadDir(s.paths.leaf(leaf))
	if err != nil {
		return nil, ignoreNotExist(err)
	}
	ids := foldersOf(leaf, entries)
	slices.SortFunc(ids, compareIDs)
	return ids, nil
}

// foldersOf returns the folders among the entries of a leaf.
func foldersOf(leaf int, entries []vfs.Entry) []id {
	ids := make([]id, 0, len(entries))
	for _, entry := range entries {
		if i, ok := parseID(entry.Name); ok && entry.Kind == vfs.Dir && i.leaf() == leaf {
			ids = append(ids, i)
		}
	}
	return ids
}

func ignoreNotExist(err error) error {
	if vfs.NotExist(err) {
		return nil
	}
	return err
}
