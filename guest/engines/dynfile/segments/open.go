package segments

import (
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/siphash"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/stamp"
)

// Open opens the store of a shard in a directory, or makes it. What is damaged
// there it leaves out, counts and logs. It returns guest.ErrInvalid for options
// out of their bounds and for a directory that holds something else.
func Open(fs vfs.FS, options Options) (*Store, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	s := &Store{options: options, fs: fs, dir: "shard-" + strconv.Itoa(options.Shard), nextSeq: 1}
	s.index.reset()
	if err := stamp.Claim(fs, stamp.Stamp{Engine: "dynfile", Version: 1, Shards: options.Shards}, options.Shard); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives back the open files. It saves nothing.
func (s *Store) Close() {
	for _, g := range s.table {
		if g != nil {
			s.close(g)
		}
	}
	if s.hinting != nil {
		s.abandonHint()
	}
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
		return invalid("shard " + strconv.Itoa(o.Shard) + " of " + strconv.Itoa(o.Shards) + " there cannot be")
	case o.SegmentBytes < MinSegment || o.SegmentBytes > MaxSegment:
		return invalid("a segment has 64KiB to 128MiB")
	case o.MaxBytes != 0 && o.MaxBytes < MinBytes:
		return invalid("a shard needs room for 8MiB at least")
	case o.MaxBytes != 0 && o.MaxBytes/16 < o.SegmentBytes:
		return invalid("a shard needs room for 16 segments at least")
	case o.MaxSessions < 0 || o.MaxOpen < 4:
		return invalid("the most sessions cannot be less than none, nor the most open files less than four")
	case o.Random == nil:
		return invalid("a store needs random numbers")
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
	l := loader{Store: s}
	s.index.loading = true
	var found []*opened
	for _, number := range numbers {
		o, err := l.look(number)
		if err != nil {
			return err
		}
		if o != nil {
			found = append(found, o)
		}
	}
	s.hash = s.commonKey(found)
	for _, o := range found {
		if err := l.read(o); err != nil {
			return err
		}
	}
	l.finish()
	s.index.seqs, s.index.loading = nil, false
	// What a process wrote that was then killed is in the files, but not
	// for certain on the disk, and everything from here on builds on it.
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

// list returns the numbers of all segments, and takes away what is left of hints
// whose segments are gone.
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

// loader reads segments into the index. The order in which it reads them does
// not matter: of each hash, the record with the highest sequence number counts.
type loader struct {
	*Store
	hintBuffer, scanBuffer []byte
}

// opened is a segment whose header has been read.
type opened struct {
	segmentHeader
	fileNumber uint32
}

// look reads the header of a segment. It returns nil for one that has none.
func (l *loader) look(number uint32) (*opened, error) {
	name := l.dir + "/" + fileName(number, segmentSuffix)
	file, err := l.fs.OpenFile(name, 0)
	if err != nil {
		return nil, vfs.Answer(err, "opening a segment")
	}
	b := make([]byte, recordsAt)
	n, err := file.ReadAt(b, 0)
	size := int64(n)
	if n == len(b) {
		size, err = file.Size()
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	_ = file.Close()
	if err != nil {
		return nil, vfs.Answer(err, "reading a segment")
	}
	header, version, ok := decodeHeader(b[:n])
	if !ok {
		var h hint
		if h, l.hintBuffer, ok = l.hint(number); !ok {
			return nil, l.setAside(number, size)
		}
		header, version = h.header, segmentVersion
	}
	if version != segmentVersion {
		return nil, invalid("segment " + fileName(number, "") + " has version " + strconv.FormatUint(uint64(version), 10) +
			", and this engine knows version 1: use a newer engine")
	}
	return &opened{header, number}, nil
}

func (l *loader) hint(number uint32) (hint, []byte, bool) {
	return readHint(l.fs, l.dir+"/"+fileName(number, hintSuffix), maxHint, l.hintBuffer)
}

// commonKey returns the key that most segments have: that of this store, should
// those of another one have been put among them. A store without segments gets
// a new key.
func (s *Store) commonKey(found []*opened) siphash.Key {
	count := make(map[siphash.Key]int)
	best := siphash.Key{K0: s.options.Random(), K1: s.options.Random()}
	for _, o := range found {
		if !s.ours(&o.segmentHeader, o.fileNumber) {
			continue
		}
		if count[o.key]++; count[o.key] > count[best] {
			best = o.key
		}
	}
	return best
}

func (s *Store) ours(h *segmentHeader, number uint32) bool {
	return h.number == number && h.shard == uint32(s.options.Shard) && h.shards == uint32(s.options.Shards)
}

// read reads the records of a segment.
func (l *loader) read(o *opened) error {
	if !l.ours(&o.segmentHeader, o.fileNumber) || o.key != l.hash {
		l.stats.Damaged++
		guest.Log(guest.LevelError, "dynfile: segment "+fileName(o.fileNumber, "")+" belongs to another store or shard, and is left alone")
		return nil
	}
	g := &segment{segmentHeader: o.segmentHeader, seeds: seedsOf(o.salt), slot: uint16(len(l.table)), size: recordsAt}
	file, err := l.open(g)
	if err != nil {
		return err
	}
	l.table = append(l.table, g)
	size, err := file.Size()
	if err != nil {
		return vfs.Answer(err, "opening a segment")
	}
	l.nextSeq = max(l.nextSeq, g.first, g.floor)
	l.floor = max(l.floor, g.floor)
	var h hint
	var hinted bool
	if h, l.hintBuffer, hinted = l.hint(g.number); hinted && h.header == g.segmentHeader {
		l.fromHint(g, &h, size)
	} else if err := l.fromRecords(g, size); err != nil {
		return err
	}
	l.total += g.size + g.hint
	return nil
}

// setAside deals with a segment whose headers are both unreadable. Usually it
// was made just before a power loss, and has nothing.
func (l *loader) setAside(number uint32, size int64) error {
	name := l.dir + "/" + fileName(number, segmentSuffix)
	if size <= recordsAt {
		l.stats.Torn++
		if err := l.fs.Remove(name); err != nil {
			return vfs.Answer(err, "removing a segment")
		}
		return nil
	}
	l.stats.Damaged++
	guest.Log(guest.LevelError, "dynfile: segment "+fileName(number, "")+" has no readable header, and is renamed to "+
		fileName(number, damagedSuffix))
	if err := l.fs.Rename(name, l.dir+"/"+fileName(number, damagedSuffix)); err != nil {
		return vfs.Answer(err, "renaming a segment")
	}
	return nil
}

func (l *loader) fromHint(g *segment, h *hint, size int64) {
	l.stats.Hints++
	g.size, g.synced, g.hint = h.size, h.size, h.bytes
	if size < h.size {
		l.stats.Damaged++
		guest.Log(guest.LevelError, "dynfile: segment "+fileName(g.number, "")+" has been cut short; sessions behind its end are lost")
	}
	for rest := h.entries; len(rest) > 0; rest = rest[hintEntrySize:] {
		e := decodeHint(rest)
		l.take(g, &e.record, placeOf(g.slot, e.offset, e.size))
	}
}

func (l *loader) fromRecords(g *segment, size int64) error {
	l.stats.Scanned++
	scan := newScanner(g.file, g.seeds, min(size, maxFile), l.scanBuffer)
	var broken []find
	var gaps []find
	durable := int64(recordsAt)
	for {
		f, err := scan.next()
		if err != nil {
			return vfs.Answer(err, "reading a segment")
		}
		switch f.what {
		case foundRecord:
			l.take(g, &f.record, placeOf(g.slot, f.offset, f.size()))
			durable = max(durable, int64(f.watermark)*unit)
			g.size = f.offset + int64(f.size())
		case foundBroken:
			broken = append(broken, f)
		case foundGap:
			gaps = append(gaps, f)
		case foundEnd:
			l.scanBuffer = scan.buffer
			l.judge(g, broken, gaps, durable)
			return nil
		}
	}
}

// judge decides what bytes mean that are no whole record. Behind what was
// durable, they are writes that a power loss has cut short: nobody was told
// that they would survive it, and what they replaced still stands. Before that,
// they are damage.
func (l *loader) judge(g *segment, broken, gaps []find, durable int64) {
	lost := 0
	for i := range broken {
		f := &broken[i]
		g.unhintable = g.unhintable || f.offset < g.size
		if f.offset >= durable {
			l.stats.Torn++
			continue
		}
		g.size = max(g.size, f.offset+int64(f.size()))
		// It is known which session this was. It stays in the index, so that
		// it is told to be damaged and no older record comes up.
		lost++
		l.take(g, &f.record, placeOf(g.slot, f.offset, f.size()))
	}
	for i := range gaps {
		g.unhintable = g.unhintable || gaps[i].offset < g.size
		if gaps[i].offset >= durable {
			l.stats.Torn++
			continue
		}
		lost++
		g.size = max(g.size, min(gaps[i].to, durable))
		g.unhintable = true
	}
	if lost > 0 {
		l.stats.Damaged += uint64(lost)
		guest.Log(guest.LevelError, "dynfile: segment "+fileName(g.number, "")+" is damaged in "+strconv.Itoa(lost)+
			" places; sessions there are lost")
	}
}

// take enters a record into the index if it is newer than what is there.
func (l *loader) take(g *segment, r *record, at place) {
	l.nextSeq = max(l.nextSeq, r.seq+1)
	g.count(r)
	id, sl := l.index.find(r.hash)
	switch {
	case sl == nil:
		id, sl = l.index.insert(r.hash, 0, 0, slotGone)
	case *l.index.seq(id) > r.seq:
		return
	case *l.index.seq(id) == r.seq && sl.flags&slotGone != 0:
		return // of a session and its tombstone
	}
	if sl.flags&slotGone == 0 {
		l.disown(sl)
	}
	*l.index.seq(id) = r.seq
	if r.tombstone() {
		sl.flags = slotGone
		return
	}
	l.own(sl, at, r)
}

// finish takes out of the index what is gone, now that nothing older can turn up.
func (l *loader) finish() {
	for id := l.index.count; id > 0; {
		id-- // the last slot, which takes the place of one that is removed, was met before
		sl := l.index.slot(id)
		switch {
		case sl.flags&slotGone != 0:
			l.index.remove(id)
		case *l.index.seq(id) < l.floor:
			l.drop(id, sl)
		}
	}
}

// resume makes the newest segment the one that is written to, if it has room,
// and cuts off what a write that was cut short has left at its end. In one that
// has such remains in its middle, what is written could not say any more how much
// of it was durable before them.
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
