//go:build !wasip1

package segments

import (
	"strconv"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
)

// judgeAll reports what is damaged, now that the newest record of every key is known.
func (s *surveyor) judgeAll() {
	for number, g := range s.segments {
		told := false
		for i := range g.bad {
			b := &g.bad[i]
			switch at := (survey.Finding{File: g.path, Offset: b.offset}); {
			case b.what == foundRecord:
				at.Severity, at.Remedy = survey.Damage, survey.Repair
				at.Text = "a bit of a record's header is wrong, and is corrected whenever it is read"
				s.Say(at)
			case !b.durable:
				at.Severity, at.Remedy = survey.Note, survey.Engine
				at.Text = "a write was cut short; it had not been answered as durable"
				s.Say(at)
			case !b.known:
				at.Severity, at.Remedy, at.Sessions = survey.Loss, survey.Backup, -1
				at.Text = strconv.FormatInt(b.to-b.offset, 10) + " bytes are no record: the sessions there are lost, and older states of them may be back"
				s.Say(at)
			default:
				at.Severity, at.Remedy = survey.Damage, survey.Repair
				at.Text = "a record is damaged"
				told = true
				s.Say(at)
			}
		}
		s.losses(number, g, told)
	}
}

// losses tells which sessions of a segment are known to be lost: none newer was found.
func (s *surveyor) losses(number int, g *surveyedSegment, told bool) {
	if !told && !g.short {
		return
	}
	for _, l := range s.index {
		if int(l.segment) == number && l.kind == damagedPut && l.seq >= s.floor {
			s.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Backup, File: g.path, Offset: l.offset, Sessions: 1,
				Text: "a session is lost: its newest record is damaged. It is answered with CORRUPT until it is stored anew"})
		}
	}
}

// emitAll hands on the newest whole record of every key.
func (s *surveyor) emitAll() error {
	left := 0
	for _, l := range s.index {
		if l.kind == kindPut && l.seq >= s.floor {
			left++
		}
	}
	for number, g := range s.segments {
		s.Did(len(s.segments)+number, 2*len(s.segments))
		if !g.counts {
			continue
		}
		size, err := g.file.Size()
		if err != nil {
			return vfs.Answer(err, "reading "+g.path)
		}
		sc := newScanner(g.file, seedsOf(g.salt), min(size, maxFile), s.buffer)
		for sc.at < g.cut {
			f, err := sc.next()
			if err != nil {
				return vfs.Answer(err, "reading "+g.path)
			}
			if f.what == foundEnd {
				break
			}
			if f.what != foundRecord {
				continue
			}
			l, ok := s.index[f.hash]
			if !ok || int(l.segment) != number || l.offset != f.offset || l.kind != kindPut || l.seq < s.floor {
				continue
			}
			left--
			if before, ok := s.emitted[f.hash]; ok && before.kind == kindPut && before.seq >= s.floor {
				continue
			}
			key, value := f.body(f.bytes)
			if s.key.Sum(key) != f.hash {
				s.Say(survey.Finding{Severity: survey.Loss, Remedy: survey.Repair, File: g.path, Offset: f.offset, Sessions: 1,
					Text: "a session lies under the hash of another key, where nobody finds it"})
			}
			if err := s.See(survey.Record{Key: key, Value: value, Expires: f.expires, File: g.path}); err != nil {
				return err
			}
		}
		s.buffer = sc.buffer
	}
	if left > 0 {
		return errMoved
	}
	return nil
}
