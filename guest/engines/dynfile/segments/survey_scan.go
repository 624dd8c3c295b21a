//go:build !wasip1

package segments

import (
	"errors"
	"io"
	"slices"

	"github.com/waddle-sessions/waddle/guest/engines/survey"
)

// mostReads bounds how often bytes are read again that differ each time.
const mostReads = 5

// read enters a segment's records into the index.
func (s *surveyor) read(g *surveyedSegment) error {
	if !g.counts {
		return nil
	}
	for try := range mostReads {
		found, err := s.scan(g)
		if err != nil {
			return err
		}
		same := slices.EqualFunc(found, g.bad, func(a, b bad) bool {
			return a.what == b.what && a.offset == b.offset && a.to == b.to
		})
		g.bad = found
		if len(found) == 0 || try > 0 && same {
			break
		}
		s.Wait()
	}
	return s.judgeSegment(g)
}

// scan goes through the records once, and returns the bytes that are not a record.
func (s *surveyor) scan(g *surveyedSegment) (found []bad, err error) {
	size, err := g.file.Size()
	if err != nil {
		return nil, err
	}
	g.cut = min(g.cut, size) // the engine cuts off what it could not write
	sc := newScanner(g.file, seedsOf(g.salt), min(size, maxFile), s.buffer)
	for sc.at < g.cut {
		head, err := sc.window(sc.at, headerSize)
		if err != nil {
			return nil, err
		}
		mended := false
		if len(head) == headerSize {
			_, ok := sc.seeds.open(head, sc.at)
			mended = !ok
		}
		f, err := sc.next()
		if err != nil {
			return nil, err
		}
		switch {
		case f.what == foundEnd:
			s.buffer = sc.buffer
			return found, nil
		case f.what != foundRecord:
			found = append(found, bad{find: f})
		case mended:
			found = append(found, bad{find: f})
			fallthrough
		default:
			s.take(g, &f.record, f.offset, false)
		}
	}
	s.buffer = sc.buffer
	return found, nil
}

// take enters a record if it is newer than the one there.
func (s *surveyor) take(g *surveyedSegment, r *record, offset int64, damaged bool) {
	have, ok := s.index[r.hash]
	kind := r.kind &^ flagOutlived
	if damaged && kind == kindPut {
		kind = damagedPut
	}
	switch {
	case ok && have.seq > r.seq:
		return
	case ok && have.seq == r.seq && (have.kind == kindTombstone || damaged):
		return // a session and its tombstone, or a copy
	}
	s.index[r.hash] = latest{seq: r.seq, offset: offset, segment: g.at, kind: kind, expires: r.expires}
}

// hint reads the hint of a segment. The header of one is written last, so one that has a
// header and is not whole is damaged.
func (s *surveyor) hint(g *surveyedSegment) (h hint, ok bool) {
	name := s.hintPath(g)
	info, err := s.fs.Stat(name)
	if err != nil {
		return h, false
	}
	for range 2 {
		if h, _, ok = readHint(s.fs, name, maxHint, nil); ok {
			break
		}
		s.Wait()
	}
	switch {
	case ok && h.header == g.segmentHeader:
		s.shard.Files++
		s.shard.Bytes += info.Size
		return h, true
	case ok:
		s.Say(survey.Finding{Severity: survey.Damage, Remedy: survey.Engine, File: name, Offset: 0,
			Text: "is the hint of another segment: the engine ignores it and makes a new one"})
	case s.begun(name):
		s.Say(survey.Finding{Severity: survey.Damage, Remedy: survey.Engine, File: name, Offset: -1,
			Text: "is damaged: the engine ignores it and makes a new one"})
	default:
		s.note(name, survey.Engine, "is a hint that was not finished: the engine makes it anew")
	}
	return h, false
}

// begun reports whether a hint has a header, or something in its place.
func (s *surveyor) begun(name string) bool {
	f, err := s.fs.OpenFile(name, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, hintHeaderSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return slices.ContainsFunc(b[:n], func(c byte) bool { return c != 0 })
}
