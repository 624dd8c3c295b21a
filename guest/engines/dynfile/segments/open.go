package segments

import (
	"slices"
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/format"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/stamp"
)

// Open opens the store of a shard in a directory, or creates it. It leaves out,
// counts and logs what is damaged there. It returns guest.ErrInvalid for options
// outside their bounds and for a directory that holds something else.
func Open(fs vfs.FS, options Options) (*Store, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	s := &Store{options: options, fs: fs, dir: "shard-" + strconv.Itoa(options.Shard), nextSeq: 1}
	s.index.reset()
	if err := s.kept.open(options.CacheBytes); err != nil {
		return nil, err
	}
	if err := stamp.Claim(fs, format.Format{Engine: "dynfile", Version: 1, Shards: options.Shards}, options.Shard); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the open files. It saves nothing.
func (s *Store) Close() {
	for _, g := range s.table {
		if g != nil {
			s.close(g)
		}
	}
	if s.hinting != nil {
		s.abandonHint()
	}
	s.closeSaved()
}

func (o *Options) complete() error {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegment
		if o.MaxBytes > 0 {
			o.SegmentBytes = min(o.SegmentBytes, max(o.MaxBytes/16, MinSegment))
		}
	}
	if o.MaxOpen == 0 {
		o.MaxOpen = 64
	}
	switch {
	case o.Shards < 1 || o.Shard < 0 || o.Shard >= o.Shards:
		return invalid("the shard is " + strconv.Itoa(o.Shard) + " of " + strconv.Itoa(o.Shards) + ": must be at least 0 and less than their number")
	case o.SegmentBytes < MinSegment || o.SegmentBytes > MaxSegment:
		return invalid("SegmentBytes is " + strconv.FormatInt(o.SegmentBytes, 10) + ": must be 64KiB to 128MiB")
	case o.MaxBytes != 0 && o.MaxBytes < MinBytes:
		return invalid("MaxBytes is " + strconv.FormatInt(o.MaxBytes, 10) + ": must be 0 or at least 8MiB")
	case o.MaxBytes != 0 && o.MaxBytes/16 < o.SegmentBytes:
		return invalid("MaxBytes is " + strconv.FormatInt(o.MaxBytes, 10) + ": must have room for at least 16 segments")
	case o.MaxSessions < 0 || o.MaxOpen < 4:
		return invalid("MaxSessions and MaxOpen are " + strconv.FormatInt(o.MaxSessions, 10) + " and " + strconv.Itoa(o.MaxOpen) + ": must be at least 0 and at least 4")
	case o.CacheBytes != 0 && o.CacheBytes < MinCache:
		return invalid("CacheBytes is " + strconv.FormatInt(o.CacheBytes, 10) + ": must be 0 or at least 512KiB")
	case o.Random == nil:
		return invalid("Random is nil: must return random numbers")
	}
	return nil
}

// load reads what is in the shard's directory.
func (s *Store) load() error {
	if err := s.fs.Mkdir(s.dir); err == nil {
		if err := s.fs.SyncDir(""); err != nil {
			return vfs.Answer(err, "syncing the directory")
		}
	} else if !vfs.Exist(err) {
		return vfs.Answer(err, "making the directory "+s.dir)
	}
	numbers, err := s.list()
	if err != nil {
		return err
	}
	if err := s.loadSegments(numbers); err != nil {
		return err
	}
	// What a killed process wrote is in the files, but is not certain to be on
	// the disk, and everything from here on builds on it.
	s.dirChanged = true
	if err := s.syncAll(true); err != nil {
		return err
	}
	if err := s.resume(numbers); err != nil {
		return err
	}
	s.openReserve()
	return nil
}

// list returns the numbers of all segments, and removes hints whose segments are
// gone.
func (s *Store) list() ([]uint32, error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, vfs.Answer(err, "reading the directory "+s.dir)
	}
	var numbers, hints []uint32
	for _, e := range entries {
		for _, suffix := range [...]string{segmentSuffix, hintSuffix, damagedSuffix} {
			if number, ok := parseName(e.Name, suffix); ok {
				s.nextNumber = max(s.nextNumber, number+1)
				switch {
				case e.Kind != vfs.Regular:
					// Not ours, but the name is taken.
				case suffix == segmentSuffix:
					numbers = append(numbers, number)
				case suffix == hintSuffix:
					hints = append(hints, number)
				}
			}
		}
	}
	slices.Sort(numbers)
	for _, number := range hints {
		if _, ok := slices.BinarySearch(numbers, number); !ok {
			_ = s.fs.Remove(s.dir + "/" + fileName(number, hintSuffix))
		}
	}
	if len(numbers) >= maxSegments {
		return nil, errSegments
	}
	return numbers, nil
}

// resume makes the newest segment the current one, if it has room, and cuts off
// what an interrupted write has left at its end. A segment with such remains in
// its middle cannot be used: later records could no longer say how much before
// them was durable.
func (s *Store) resume(numbers []uint32) error {
	if len(s.table) == 0 {
		return nil
	}
	g := s.table[len(s.table)-1]
	if g.number != numbers[len(numbers)-1] || g.hint > 0 || g.unhintable ||
		g.size >= s.options.SegmentBytes/4*3 || g.floor != s.floor {
		return nil
	}
	file, err := s.open(g)
	if err != nil {
		return err
	}
	size, err := file.Size()
	if err == nil && size != g.size {
		if err = file.Truncate(g.size); err == nil {
			err = file.Sync()
		}
	}
	if err != nil {
		return vfs.Answer(err, "cutting off the end of a segment")
	}
	s.hot = g
	return nil
}

func invalid(message string) error { return guest.Fail(guest.ErrInvalid, message) }
