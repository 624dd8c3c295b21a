package folder

import (
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

// trash is what Clear moved aside. It is removed step by step.
type trash struct {
	fs     vfs.FS
	prefix string
	levels []trashLevel // from a directory at the top down to the one being emptied
	queue  []string     // more directories at the top
}

type trashLevel struct {
	dir     string
	list    vfs.Directory // nil before the beginning and after the end
	listed  bool          // to its end
	entries []vfs.Entry
}

// newName is a name that nothing has, and that no instance will use again.
func (t *trash) newName() string { return t.prefix + strconv.FormatUint(guest.RandomUint64(), 16) }

func (t *trash) add(dir string) { t.queue = append(t.queue, dir) }

func (t *trash) empty() bool { return len(t.levels) == 0 && len(t.queue) == 0 }

// find finds what earlier instances had not yet removed.
func (t *trash) find() error {
	entries, err := t.fs.ReadDir("")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Kind == vfs.Dir && strings.HasPrefix(entry.Name, t.prefix) {
			t.add(entry.Name)
		}
	}
	return nil
}

// step removes one file or directory, or reads a part of one. What cannot be
// removed stays until the next instance opens.
func (t *trash) step() {
	if len(t.levels) == 0 {
		t.levels = append(t.levels, trashLevel{dir: t.queue[0]})
		t.queue = t.queue[1:]
	}
	level := &t.levels[len(t.levels)-1]
	var err error
	switch {
	case len(level.entries) == 0 && !level.listed:
		err = level.more(t.fs)
	case len(level.entries) > 0:
		entry := level.entries[len(level.entries)-1]
		level.entries = level.entries[:len(level.entries)-1]
		name := level.dir + "/" + entry.Name
		if entry.Kind == vfs.Dir {
			t.levels = append(t.levels, trashLevel{dir: name})
		} else {
			err = t.fs.Remove(name)
		}
	default:
		err = t.fs.RemoveDir(level.dir)
		t.levels = t.levels[:len(t.levels)-1]
	}
	if err != nil && !vfs.NotExist(err) {
		for _, level := range t.levels {
			level.close()
		}
		t.levels = nil
		guest.Log(guest.LevelWarn, "what was cleared cannot be removed and is left for the next start: "+err.Error())
	}
}

// more lists some more of the directory.
func (l *trashLevel) more(fs vfs.FS) (err error) {
	if l.list == nil {
		if l.list, err = fs.OpenDir(l.dir); err != nil {
			l.list, l.listed = nil, true
			return err
		}
	}
	l.entries, err = l.list.Next()
	if err != nil || len(l.entries) == 0 {
		l.listed = true
		l.close()
	}
	return err
}

func (l *trashLevel) close() {
	if l.list != nil {
		_ = l.list.Close()
		l.list = nil
	}
}
