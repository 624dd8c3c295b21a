//go:build !wasip1

package folder

import (
	"io"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/survey"
)

// Survey reads a shard with both rounds of a Surveyor.
func Survey(dir string, o survey.Options, v survey.Visitor) (survey.Shard, error) {
	s := Begin(dir, o, v)
	for range 2 {
		if err := s.Round(); err != nil {
			return s.Shard(), err
		}
	}
	return s.Shard(), nil
}

// Begin begins to read a shard from outside. See Surveyor.
func Begin(dir string, o survey.Options, v survey.Visitor) *Surveyor {
	return &Surveyor{surveyor{Options: o, Visitor: v, seen: make(map[id]struct{}),
		store:   &Store{fs: vfs.OS(dir), paths: paths{live: "sessions-" + strconv.Itoa(o.Shard)}, buffer: make([]byte, readSize)},
		pending: "pending-" + strconv.Itoa(o.Shard)}}
}

// Surveyor reads a shard and changes nothing. A process that serves the sessions is not
// disturbed. It holds about fifty bytes of memory for each session. It is not safe for
// concurrent use.
//
// It takes two rounds. Each record that they find was the session of its key at some moment.
// A session that was there all the time is found, and so is one that took the place
// of another meanwhile: the second round reads what is new.
type Surveyor struct{ surveyor }

// Round is one of the two.
func (s *Surveyor) Round() error {
	if err := s.live(); err != nil {
		return err
	}
	if s.again == 0 {
		s.pendingList(s.pending)
	}
	s.again = 1
	return nil
}

// Shard counts what was read.
func (s *Surveyor) Shard() survey.Shard { return s.shard }

// surveyor is a survey that is under way.
type surveyor struct {
	survey.Options
	survey.Visitor
	store   *Store
	shard   survey.Shard
	seen    map[id]struct{}
	again   int    // 1 in the second round
	pending string // the name of the list
}

// live goes through all directories of the shard.
func (s *surveyor) live() error {
	tops, err := s.list(s.store.paths.live, true, func(name string) (int, bool) { return number(name, 2) })
	if err != nil {
		return err
	}
	for i, top := range tops {
		s.Did(i, len(tops))
		lows, err := s.list(s.store.paths.top(top), false, func(name string) (int, bool) { return number(name, 1) })
		if err != nil {
			return err
		}
		for _, low := range lows {
			if err := s.leaf(top<<4 | low); err != nil {
				return err
			}
		}
	}
	return nil
}

// list lists directories with numbers for names, and reports what else is there.
func (s *surveyor) list(dir string, must bool, parse func(string) (int, bool)) (numbers []int, err error) {
	entries, err := s.store.fs.ReadDir(dir)
	if vfs.NotExist(err) && !must {
		return nil, nil // it has become empty meanwhile
	}
	if err != nil {
		return nil, vfs.Answer(err, "listing "+dir)
	}
	for _, e := range entries {
		if n, ok := parse(e.Name); ok && e.Kind == vfs.Dir {
			numbers = append(numbers, n)
		} else {
			s.stranger(dir + "/" + e.Name)
		}
	}
	return numbers, nil
}

// number reads a name of lower-case hexadecimal digits.
func number(name string, digits int) (n int, ok bool) {
	for i := range len(name) {
		d := digit(name[i])
		if d > 15 {
			return 0, false
		}
		n = n<<4 | int(d)
	}
	return n, len(name) == digits
}

func (s *surveyor) stranger(path string) {
	if s.again == 0 {
		s.say(survey.Note, survey.Hand, path, "does not belong to the engine, which leaves it alone")
	}
}

func (s *surveyor) say(severity survey.Severity, remedy survey.Remedy, path, text string) {
	f := survey.Finding{Severity: severity, Remedy: remedy, File: path, Offset: -1, Text: text}
	if severity == survey.Loss {
		f.Sessions = 1
	}
	s.Say(f)
}

func (s *surveyor) leaf(leaf int) error {
	path := s.store.paths.leaf(leaf)
	entries, err := s.store.fs.ReadDir(path)
	if vfs.NotExist(err) {
		return nil
	}
	if err != nil {
		return vfs.Answer(err, "listing "+path)
	}
	for _, e := range entries {
		i, ok := parseID(e.Name)
		if !ok || e.Kind != vfs.Dir || i.leaf() != leaf {
			s.stranger(path + "/" + e.Name)
			continue
		}
		if _, seen := s.seen[i]; seen {
			continue
		}
		if err := s.folder(i); err != nil {
			return err
		}
	}
	return nil
}

// folder reads the session of a folder.
func (s *surveyor) folder(i id) error {
	path := s.store.paths.file(i, sessionName)
	var r record
	var length int64
	var err error
	for try := range mostReads {
		r, length, err = s.readOnce(i, path)
		if err == nil || vfs.NotExist(err) {
			break
		}
		if try < mostReads-1 {
			s.Wait() // it may just be being written
		}
	}
	if vfs.NotExist(err) {
		return s.empty(i) // it is looked at again in the second round: it may be being made
	}
	if s.again == 0 && (err == errNoRecord || isDamage(err)) {
		return nil // likewise
	}
	s.seen[i] = struct{}{}
	switch {
	case err == errNoRecord:
		s.shard.Files++
		s.shard.Bytes += length
		s.say(survey.Note, survey.Engine, path, "was being written when the process or the power ended, and holds nothing")
		return nil
	case isDamage(err):
		s.shard.Files++
		s.shard.Bytes += length
		s.say(survey.Loss, survey.Repair, path, "a session is lost: "+reason(err))
		return nil
	case err != nil:
		return vfs.Answer(err, "reading "+path)
	}
	s.shard.Files++
	s.shard.Bytes += length
	s.inside(i)
	if idOf(r.key) != i {
		s.say(survey.Loss, survey.Repair, path, "is the session of another key, and lies where nobody finds it")
		return nil
	}
	return s.See(survey.Record{Key: r.key, Value: r.value, Expires: r.expires, File: path})
}

// mostReads bounds how often a file is read that looks damaged.
const mostReads = 3

func (s *surveyor) readOnce(i id, path string) (r record, length int64, err error) {
	f, err := s.store.fs.OpenFile(path, 0)
	if err != nil {
		return r, 0, err
	}
	defer f.Close()
	if length, err = f.Size(); err != nil {
		return r, 0, err
	}
	c, err := s.store.readFile(f, nil)
	if err != nil {
		return r, length, err
	}
	// The file of a key that is not in the list has been saved, and has one record.
	if !c.whole(f) && !s.listed(i) {
		s.Wait()
		if !c.whole(f) && !s.listed(i) {
			s.say(survey.Damage, survey.Engine, path, "one of two states of a session is damaged; the other counts, which may be the older one")
		}
	}
	return c.record, length, nil
}

// listed reports whether a key may have changed since the last save.
func (s *surveyor) listed(i id) bool {
	pending, err := (&list{fs: s.store.fs, name: s.pending}).read()
	if err != nil {
		return true
	}
	_, listed := pending[i]
	return listed
}

// whole reports whether the records in a file that are not the session are whole too.
func (c *content) whole(f vfs.File) bool {
	b := make([]byte, headerSize)
	for slot := range int8(slotCount) {
		if slot == c.slot || c.used&(1<<slot) == 0 {
			continue
		}
		if n, err := f.ReadAt(b, int64(slot)*int64(c.slotSize)); err != nil && err != io.EOF || n < headerSize || isEmpty(b) {
			continue
		}
		h, err := parseHeader(b)
		if err != nil {
			return false
		}
		body := make([]byte, min(h.size(), int(c.slotSize)))
		n, _ := f.ReadAt(body, int64(slot)*int64(c.slotSize))
		if _, err := parseRecord(body[:n]); err != nil {
			return false
		}
	}
	return true
}

// empty looks at a folder without a session.
func (s *surveyor) empty(i id) error {
	entries, err := s.store.fs.ReadDir(s.store.paths.folder(i))
	if err != nil || s.again == 0 {
		return ignoreNotExist(err)
	}
	s.inside(i)
	if len(entries) == 0 {
		s.say(survey.Note, survey.Engine, s.store.paths.folder(i), "is an empty folder: the engine removes it")
	}
	return nil
}

// inside reports what else is in a folder.
func (s *surveyor) inside(i id) {
	if s.Quick {
		return
	}
	entries, err := s.store.fs.ReadDir(s.store.paths.folder(i))
	if err != nil {
		return
	}
	for _, e := range entries {
		path := s.store.paths.file(i, e.Name)
		switch e.Name {
		case sessionName:
			if e.Kind != vfs.Regular {
				s.say(survey.Note, survey.Hand, path, "has the name of a session and is no file")
			}
		case newName:
			s.say(survey.Note, survey.Engine, path, "is the file of a session that was being replaced: the next write takes its place")
		default:
			s.stranger(path)
		}
	}
}

// pendingList looks at the list of what has changed since the last save.
func (s *surveyor) pendingList(name string) {
	f, err := s.store.fs.OpenFile(name, 0)
	if err != nil {
		if !vfs.NotExist(err) {
			s.say(survey.Note, survey.Hand, name, "cannot be read: "+err.Error())
		}
		return
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return
	}
	s.shard.Files++
	s.shard.Bytes += size
	title := make([]byte, len(listTitle))
	if n, _ := f.ReadAt(title, 0); n > 0 && string(title[:n]) != listTitle[:n] {
		s.say(survey.Damage, survey.Engine, name, "has another first line: the engine writes it anew when it opens")
	}
}

// reason is an error's message without its kind.
func reason(err error) string {
	_, text, _ := strings.Cut(err.Error(), ": ")
	_, text, _ = strings.Cut(text, ": ")
	return text
}
