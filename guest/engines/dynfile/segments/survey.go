//go:build !wasip1

package segments

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/siphash"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
)

// Survey reads a shard once, as the first Round of a Surveyor does.
func Survey(dir string, o survey.Options, v survey.Visitor) (survey.Shard, error) {
	s := Begin(dir, o, v)
	err := s.Round()
	return s.Shard(), err
}

// Begin begins to read a shard from outside. See Surveyor.
func Begin(dir string, o survey.Options, v survey.Visitor) *Surveyor {
	return &Surveyor{surveyor{Options: o, Visitor: v, fs: vfs.OS(dir), dir: "shard-" + strconv.Itoa(o.Shard)}}
}

// Surveyor reads a shard and changes nothing. A process that serves the sessions is not
// disturbed. It holds about a hundred bytes of memory for each session. It is not safe
// for concurrent use.
type Surveyor struct{ surveyor }

// Round hands on the records of one moment between its call and the first record: of each
// session the state that it had then. A second round hands on those that the first has
// not, and finds nothing else.
//
// It returns guest.ErrUnavailable if segments come and go faster than it can open
// them, or if a write is undone while it is read.
func (s *Surveyor) Round() error {
	defer s.close()
	if s.index != nil {
		s.emitted, s.Find, s.Quick = s.index, nil, true
	}
	s.index, s.floor, s.key = make(map[uint64]latest), 0, siphash.Key{}
	s.shard = survey.Shard{}
	if err := s.openAll(); err != nil {
		return vfs.Answer(err, "opening the segments of "+s.dir)
	}
	if !s.Quick {
		if err := s.names(); err != nil {
			return vfs.Answer(err, "listing "+s.dir)
		}
	}
	s.heads()
	for i, g := range s.segments {
		s.Did(i, 2*len(s.segments)) // each is read again to hand on its records
		if err := s.read(g); err != nil {
			return vfs.Answer(err, "reading "+g.path)
		}
	}
	s.judgeAll()
	return s.emitAll()
}

// Shard returns what the last round has read.
func (s *Surveyor) Shard() survey.Shard { return s.shard }

// surveyor is a survey that is under way.
type surveyor struct {
	survey.Options
	survey.Visitor
	fs    vfs.FS
	dir   string
	shard survey.Shard

	segments []*surveyedSegment
	saved    map[uint32]savedNote
	index    map[uint64]latest // by hash
	emitted  map[uint64]latest // in the round before
	floor    uint64
	key      siphash.Key
	buffer   []byte
}

// surveyedSegment is a segment that is held open: nothing takes its bytes away.
type surveyedSegment struct {
	segmentHeader
	fileNumber uint32
	path       string
	at         int32 // its place in surveyor.segments
	file       vfs.File
	cut        int64 // records that begin after it are not looked at
	counts     bool  // it has records of this shard
	bad        []bad
	short      bool // it had more once
}

// bad is a range of bytes that is not a whole record.
type bad struct {
	find
	durable bool
	known   bool // whose record it was
}

// latest is the newest record of a hash.
type latest struct {
	seq     uint64
	offset  int64
	segment int32
	kind    byte // kindPut, kindTombstone, or damagedPut
	expires int64
}

const damagedPut byte = 3

// mostLooks bounds how often the list of segments is read until it stays the same.
const mostLooks = 500

// errMoves is returned when the segments change all the time. errMoved is returned when a
// record is no longer where it was, because a write was undone.
var errMoves = guest.Fail(guest.ErrUnavailable, "segments are made and removed faster than they can be opened: try again when there is less to do")

var errMoved = guest.Fail(guest.ErrUnavailable, "a record was taken back while it was read: try again")

// openAll opens the segments that exist at one moment. From then on every session of that
// moment is in the files that are open, however they are compacted, and so is every
// tombstone that keeps a session gone. If one was removed before it could be opened, what
// was opened does not belong together: a tombstone may have gone with what it covers. A list
// may also miss segments that are made and removed while it is read. So nothing counts
// until two lists are the same.
func (s *surveyor) openAll() error {
	for range mostLooks {
		ok, err := s.tryOpenAll()
		if ok || err != nil {
			return err
		}
		s.close()
		time.Sleep(time.Millisecond)
	}
	return errMoves
}

func (s *surveyor) tryOpenAll() (ok bool, err error) {
	before, err := s.numbers()
	if err != nil {
		return false, err
	}
	s.saved = s.readNotes() // first: what it says stays true
	for _, number := range before {
		g := &surveyedSegment{fileNumber: number, path: s.dir + "/" + fileName(number, segmentSuffix), at: int32(len(s.segments))}
		if g.file, err = s.fs.OpenFile(g.path, 0); vfs.NotExist(err) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		s.segments = append(s.segments, g)
	}
	for _, g := range s.segments {
		if g.cut, err = g.file.Size(); err != nil {
			return false, err
		}
	}
	after, err := s.numbers()
	return err == nil && slices.Equal(before, after), err
}

func (s *surveyor) close() {
	for _, g := range s.segments {
		_ = g.file.Close()
	}
	s.segments = nil
}

func (s *surveyor) numbers() (numbers []uint32, err error) {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if number, ok := parseName(e.Name, segmentSuffix); ok && e.Kind == vfs.Regular {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (s *surveyor) readNotes() map[uint32]savedNote {
	notes := Store{fs: s.fs, dir: s.dir}
	notes.readSaved()
	return notes.saved.noted
}

// names reports what else lies in the directory.
func (s *surveyor) names() error {
	entries, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := s.dir + "/" + e.Name
		_, isSegment := parseName(e.Name, segmentSuffix)
		_, isHint := parseName(e.Name, hintSuffix)
		_, isDamaged := parseName(e.Name, damagedSuffix)
		ours := isSegment || isHint || isDamaged || e.Name == savedName || strings.HasPrefix(e.Name, reserveName)
		switch {
		case ours && e.Kind != vfs.Regular:
			s.note(path, survey.Hand, "has the name of a file of the engine and is none")
		case isDamaged:
			s.note(path, survey.Hand, "is a segment that the engine has put aside, since its header could not be read")
		case !ours:
			s.note(path, survey.Hand, "does not belong to the engine, which leaves it alone")
		}
	}
	return nil
}

func (s *surveyor) note(file string, remedy survey.Remedy, text string) {
	s.Say(survey.Finding{Severity: survey.Note, Remedy: remedy, File: file, Offset: -1, Text: text})
}

// heads reads the headers of the segments, and finds out which belong to this shard.
func (s *surveyor) heads() {
	for _, g := range s.segments {
		s.shard.Files++
		s.shard.Bytes += g.cut
		s.head(g)
	}
	count := make(map[siphash.Key]int)
	for _, g := range s.segments {
		if g.counts {
			if count[g.key]++; count[g.key] > count[s.key] {
				s.key = g.key
			}
		}
	}
	for _, g := range s.segments {
		if g.counts && g.key != s.key {
			s.foreign(g)
		}
		if g.counts {
			s.floor = max(s.floor, g.floor)
		}
	}
}

func (s *surveyor) foreign(g *surveyedSegment) {
	g.counts = false
	s.Say(survey.Finding{Severity: survey.Damage, Remedy: survey.Hand, File: g.path, Offset: -1,
		Text: "belongs to another store or shard: the engine leaves it alone"})
}

func (s *surveyor) head(g *surveyedSegment) {
	b := make([]byte, recordsAt)
	n, _ := g.file.ReadAt(b, 0)
	for try := 0; n < recordsAt && try < mostReads; try++ {
		s.Wait() // it may just be being made
		n, _ = g.file.ReadAt(b, 0)
	}
	header, version, ok := decodeHeader(b[:n])
	for at := 0; ok && at < recordsAt; at += segmentHeaderSize {
		if _, _, whole := decodeHeader(b[at : at+segmentHeaderSize]); !whole {
			s.Say(survey.Finding{Severity: survey.Damage, Remedy: survey.Repair, File: g.path, Offset: int64(at),
				Text: "one of two copies of the header is damaged, and the other is used"})
		}
	}
	if !ok {
		h, _, found := readHint(s.fs, s.hintPath(g), maxHint, nil)
		switch {
		case found:
			header, version, ok = h.header, segmentVersion, true
			s.Say(survey.Finding{Severity: survey.Damage, Remedy: survey.Repair, File: g.path, Offset: 0,
				Text: "the header is damaged; that of the hint is used"})
		case g.cut <= recordsAt && s.saved[g.fileNumber].durable == 0:
			s.note(g.path, survey.Engine, "was being made when the process or the power ended, and holds nothing")
			return
		default:
			s.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Backup, File: g.path, Offset: 0, Sessions: -1,
				Text: "the header cannot be read, and without it no record: the engine puts the file aside"})
			return
		}
	}
	if version != segmentVersion {
		s.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Hand, File: g.path, Offset: 8, Sessions: -1,
			Text: "has version " + strconv.FormatUint(uint64(version), 10) + ": must be 1; a newer engine reads it"})
		return
	}
	g.segmentHeader, g.counts = header, true
	if g.number != g.fileNumber || g.segmentHeader.shard != uint32(s.Shard) || g.shards != uint32(s.Shards) {
		s.foreign(g)
	}
}

func (s *surveyor) hintPath(g *surveyedSegment) string {
	return s.dir + "/" + fileName(g.fileNumber, hintSuffix)
}

// judgeSegment decides what is damage, as the engine does when it opens. The hint tells
// which records are lost.
func (s *surveyor) judgeSegment(g *surveyedSegment) error {
	durable := int64(recordsAt)
	if note := s.saved[g.number]; note.salt == g.salt {
		durable = max(durable, note.durable)
	}
	h, hinted := s.hint(g)
	if hinted {
		durable = max(durable, h.size)
	}
	// The hint may be younger than the cut.
	size, err := g.file.Size()
	if err != nil {
		return err
	}
	g.short = size < durable && durable > recordsAt
	if g.short {
		s.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Backup, File: g.path, Offset: size, Sessions: -1,
			Text: "was cut short: had at least " + strconv.FormatInt(durable, 10) + " bytes"})
	}
	if len(g.bad) > 0 {
		most, err := s.watermarks(g)
		if err != nil {
			return err
		}
		durable = max(durable, most)
	}
	for i := range g.bad {
		b := &g.bad[i]
		b.durable = b.offset < durable
		if b.what == foundBroken && b.durable {
			b.known = true
			s.take(g, &b.record, b.offset, true)
		}
	}
	if !hinted || len(g.bad) == 0 && !g.short {
		return nil
	}
	for rest := h.entries; len(rest) > 0; rest = rest[hintEntrySize:] {
		e := decodeHint(rest)
		if s.lost(g, &e, size) {
			s.take(g, &e.record, e.offset, true)
		}
	}
	for i := range g.bad {
		g.bad[i].known = true
	}
	return nil
}

// lost reports whether a hint has an entry for a record that is not whole.
func (s *surveyor) lost(g *surveyedSegment, e *hintEntry, size int64) bool {
	if e.offset+int64(e.size) > size {
		return true
	}
	return slices.ContainsFunc(g.bad, func(b bad) bool {
		end := b.to
		if b.what == foundBroken {
			end = b.offset + int64(b.size())
		}
		return b.what != foundRecord && e.offset < end && b.offset < e.offset+int64(e.size)
	})
}

// watermarks returns how much of a segment its own records say is durable.
func (s *surveyor) watermarks(g *surveyedSegment) (most int64, err error) {
	sc := newScanner(g.file, seedsOf(g.salt), g.cut, s.buffer)
	for {
		f, err := sc.next()
		if err != nil || f.what == foundEnd {
			return most, err
		}
		if f.what == foundRecord {
			most = max(most, int64(f.watermark)*unit)
		}
	}
}
