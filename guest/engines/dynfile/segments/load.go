package segments

import (
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/siphash"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// loader reads segments into the index. It may read them in any order: for each
// hash, the record with the highest sequence number counts.
//
// Until all segments have been read, hashes of sessions that are long gone also
// take memory. If there is not enough for all at once, the index is built in
// parts: for the hashes in one range, then for those in the next. The segments
// are read once for each part.
type loader struct {
	*Store
	hintBuffer, scanBuffer []byte

	first, last uint64 // the range of hashes
	again       bool   // the segments have been read before
}

// The memory that loading takes for a session, and for the sequence number of one
// in the current range.
const (
	slotBytes = 40
	seqBytes  = 8
)

var errTooMany = guest.Fail(guest.ErrNoSpace, "there are more sessions than memory_limit has room for: raise it")

// loadSegments builds the index of all segments with these numbers.
func (s *Store) loadSegments(numbers []uint32) error {
	l := loader{Store: s, last: math.MaxUint64}
	s.readSaved()
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
	s.index.expect(l.expected(found))
	s.hash = s.commonKey(found)
	for _, o := range found {
		if err := l.add(o); err != nil {
			return err
		}
	}
	for {
		for _, g := range s.table {
			if err := l.read(g); err != nil {
				return err
			}
		}
		l.finish()
		s.stats.Ranges++
		if l.last == math.MaxUint64 {
			break
		}
		s.index.base = s.index.count
		l.first, l.last, l.again = l.last+1, math.MaxUint64, true
	}
	s.index.loaded()
	for _, g := range s.table {
		s.total += g.size + g.hint
	}
	return nil
}

// expected guesses how many hashes there are in all segments.
func (l *loader) expected(found []*opened) (hashes int64) {
	for _, o := range found {
		info, err := l.fs.Stat(l.dir + "/" + fileName(o.fileNumber, hintSuffix))
		if err == nil {
			hashes += info.Size / hintEntrySize
		} else {
			hashes += o.size / usualRecord
		}
	}
	if most := l.options.MaxSessions; most > 0 {
		hashes = min(hashes, most)
	}
	return hashes
}

// usualRecord is the size of a session with some values, rather too large: what is not
// expected costs a little time, and what does not come costs memory until the store is open.
const usualRecord = 512

// fit narrows the range of hashes if there is not enough memory for it.
func (l *loader) fit() error {
	if l.options.MaxSessions == 0 {
		return nil
	}
	x := &l.index
	for int64(x.count)*slotBytes+int64(x.count-x.base)*seqBytes > l.options.MaxSessions*SessionBytes {
		if l.first == l.last {
			return errTooMany
		}
		l.last = l.first + (l.last-l.first)/2
		for id := x.count; id > x.base; {
			id-- // the last slot takes the place of the removed one, and was visited before
			if sl := x.slot(id); sl.hash > l.last {
				if sl.flags&slotGone == 0 {
					l.disown(sl)
				}
				x.remove(id)
			}
		}
	}
	return nil
}

// opened is a segment whose header has been read.
type opened struct {
	segmentHeader
	fileNumber uint32
	size       int64
}

// look reads the header of a segment. It returns nil if there is none.
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
	return &opened{header, number, size}, nil
}

func (l *loader) hint(number uint32) (hint, []byte, bool) {
	return readHint(l.fs, l.dir+"/"+fileName(number, hintSuffix), maxHint, l.hintBuffer)
}

// commonKey returns the key that most segments have. That is the key of this
// store, even if somebody has put segments of another store among them. A store
// without segments gets a new key.
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

// add enters a segment into the table.
func (l *loader) add(o *opened) error {
	if !l.ours(&o.segmentHeader, o.fileNumber) || o.key != l.hash {
		l.stats.Damaged++
		guest.Log(guest.LevelError, "dynfile: segment "+fileName(o.fileNumber, "")+" belongs to another store or shard, and is left alone")
		return nil
	}
	g := &segment{segmentHeader: o.segmentHeader, seeds: seedsOf(o.salt), slot: uint16(len(l.table)), size: recordsAt}
	l.table = append(l.table, g)
	l.nextSeq = max(l.nextSeq, g.first, g.floor)
	l.floor = max(l.floor, g.floor)
	return nil
}

// read reads the records of a segment.
func (l *loader) read(g *segment) error {
	file, err := l.open(g)
	if err != nil {
		return err
	}
	size, err := file.Size()
	if err != nil {
		return vfs.Answer(err, "opening a segment")
	}
	var h hint
	var hinted bool
	if h, l.hintBuffer, hinted = l.hint(g.number); hinted && h.header == g.segmentHeader {
		return l.fromHint(g, &h, size)
	}
	return l.fromRecords(g, size)
}

// say counts and logs findings, the first time only.
func (l *loader) say(count *uint64, n int, message string) {
	if l.again || n == 0 {
		return
	}
	*count += uint64(n)
	if message != "" {
		guest.Log(guest.LevelError, "dynfile: "+message)
	}
}

// setAside deals with a segment that has no readable header. Usually it was made
// just before a power loss and holds nothing.
func (l *loader) setAside(number uint32, size int64) error {
	name := l.dir + "/" + fileName(number, segmentSuffix)
	if size <= recordsAt && l.saved.noted[number].durable == 0 {
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

func (l *loader) cutShort(g *segment) {
	l.say(&l.stats.Damaged, 1, "segment "+fileName(g.number, "")+" has been cut short; sessions after the cut are lost")
}

func (l *loader) fromHint(g *segment, h *hint, size int64) error {
	l.say(&l.stats.Hints, 1, "")
	g.size, g.synced, g.hint = h.size, h.size, h.bytes
	if size < h.size {
		l.cutShort(g)
	}
	for rest := h.entries; len(rest) > 0; rest = rest[hintEntrySize:] {
		e := decodeHint(rest)
		if err := l.take(g, &e.record, placeOf(g.slot, e.offset, e.size)); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) fromRecords(g *segment, size int64) error {
	l.say(&l.stats.Scanned, 1, "")
	scan := newScanner(g.file, g.seeds, min(size, maxFile), l.scanBuffer)
	var broken []find
	var gaps []find
	durable := l.saved.durableOf(g)
	if size < durable {
		l.cutShort(g)
	}
	for {
		f, err := scan.next()
		if err != nil {
			return vfs.Answer(err, "reading a segment")
		}
		switch f.what {
		case foundRecord:
			if err := l.take(g, &f.record, placeOf(g.slot, f.offset, f.size())); err != nil {
				return err
			}
			durable = max(durable, int64(f.watermark)*unit)
			g.size = f.offset + int64(f.size())
		case foundBroken:
			broken = append(broken, f)
		case foundGap:
			gaps = append(gaps, f)
		case foundEnd:
			l.scanBuffer = scan.buffer
			return l.judge(g, broken, gaps, durable)
		}
	}
}

// judge decides what bytes mean that are not a whole record. After the durable
// part, they are writes that a power loss cut short: nobody was told that these
// would survive it, and what they would have replaced still counts. Before its
// end, they are damage.
func (l *loader) judge(g *segment, broken, gaps []find, durable int64) error {
	lost, torn := 0, 0
	for i := range broken {
		f := &broken[i]
		g.unhintable = g.unhintable || f.offset < g.size
		if f.offset >= durable {
			g.uncertain = g.uncertain || f.offset < g.size
			torn++
			continue
		}
		g.size = max(g.size, f.offset+int64(f.size()))
		// It is known which session this was. It stays in the index, so that it
		// is reported as damaged and no older record reappears.
		lost++
		if err := l.take(g, &f.record, placeOf(g.slot, f.offset, f.size())); err != nil {
			return err
		}
	}
	for i := range gaps {
		g.unhintable = g.unhintable || gaps[i].offset < g.size
		if gaps[i].offset >= durable {
			g.uncertain = g.uncertain || gaps[i].offset < g.size
			torn++
			continue
		}
		lost++
		g.size = max(g.size, min(gaps[i].to, durable))
		g.unhintable = true
	}
	l.say(&l.stats.Torn, torn, "")
	l.say(&l.stats.Damaged, lost, "segment "+fileName(g.number, "")+" is damaged in "+strconv.Itoa(lost)+" places; the sessions there are lost")
	return nil
}

// take enters a record into the index if it is newer than the one there.
func (l *loader) take(g *segment, r *record, at place) error {
	if !l.again {
		l.nextSeq = max(l.nextSeq, r.seq+1)
		g.count(r)
	}
	if r.hash < l.first || r.hash > l.last {
		return nil
	}
	id, sl := l.index.find(r.hash)
	switch {
	case sl == nil:
		id, sl = l.index.insert(r.hash, 0, 0, slotGone)
	case *l.index.seq(id) > r.seq:
		return nil
	case *l.index.seq(id) == r.seq && sl.flags&slotGone != 0:
		return nil // of a session and its tombstone
	}
	if sl.flags&slotGone == 0 {
		l.disown(sl)
	}
	*l.index.seq(id) = r.seq
	if r.tombstone() {
		sl.flags = slotGone
	} else {
		l.own(sl, at, r)
	}
	return l.fit()
}

// finish removes dead entries from the range, now that nothing older can turn up.
func (l *loader) finish() {
	for id := l.index.count; id > l.index.base; {
		id-- // the last slot takes the place of the removed one, and was visited before
		sl := l.index.slot(id)
		switch {
		case sl.flags&slotGone != 0:
			l.index.remove(id)
		case *l.index.seq(id) < l.floor:
			l.drop(id, sl)
		}
	}
}
