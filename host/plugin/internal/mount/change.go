package mount

import (
	"io/fs"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// Lstat implements sys.FS.
func (m *FS) Lstat(path string) (wasys.Stat_t, sys.Errno) {
	n, errno := m.find(path)
	if errno != 0 {
		return wasys.Stat_t{}, errno
	}
	st, errno := m.look(n)
	if errno == 0 && n.isDir && !st.Mode.IsDir() {
		errno = notDirectory(st)
	}
	return st, errno
}

// Stat implements sys.FS. A symbolic link is not followed: ELOOP.
func (m *FS) Stat(path string) (wasys.Stat_t, sys.Errno) {
	st, errno := m.Lstat(path)
	if errno == 0 && st.Mode&fs.ModeSymlink != 0 {
		return wasys.Stat_t{}, sys.ELOOP
	}
	return st, errno
}

// Readlink implements sys.FS. A guest must not know what a link says: EPERM.
func (m *FS) Readlink(path string) (string, sys.Errno) {
	st, errno := m.Lstat(path)
	if errno != 0 {
		return "", errno
	}
	if st.Mode&fs.ModeSymlink == 0 {
		return "", sys.EINVAL
	}
	return "", sys.EPERM
}

// Symlink implements sys.FS: EPERM.
func (m *FS) Symlink(_, link string) sys.Errno { return m.refuse(link) }

// Link implements sys.FS: EPERM.
func (m *FS) Link(_, link string) sys.Errno { return m.refuse(link) }

// Chmod implements sys.FS. Modes belong to the host: EPERM.
func (m *FS) Chmod(path string, _ fs.FileMode) sys.Errno { return m.refuse(path) }

func (m *FS) refuse(path string) sys.Errno {
	if _, errno := m.target(path); errno != 0 {
		return errno
	}
	return sys.EPERM
}

// Mkdir implements sys.FS. The directory is 0700, whatever perm says.
func (m *FS) Mkdir(path string, _ fs.FileMode) sys.Errno {
	n, errno := m.target(path)
	if errno != 0 {
		return errno
	}
	if n.isRoot() {
		return sys.EEXIST
	}
	defer m.paths.shared(n.path).RUnlock()
	switch _, errno := m.look(n); {
	case errno == 0:
		return sys.EEXIST
	case errno != sys.ENOENT:
		return errno
	case m.counted && !m.quota.takeFile():
		return ENOSPC
	}
	m.names.Add(1)
	if err := m.root.Mkdir(n.path, dirMode); err != nil {
		if m.counted {
			m.quota.giveFile()
		}
		return m.errno(err)
	}
	return 0
}

// Rmdir implements sys.FS.
func (m *FS) Rmdir(path string) sys.Errno {
	n, errno := m.target(path)
	if errno != 0 {
		return errno
	}
	if n.isRoot() {
		return sys.EINVAL
	}
	defer m.paths.alone(n.path).Unlock()
	st, errno := m.look(n)
	if errno != 0 {
		return errno
	}
	if !st.Mode.IsDir() {
		return sys.ENOTDIR
	}
	m.names.Add(1)
	if err := m.root.Remove(n.path); err != nil {
		return m.errno(err)
	}
	if m.counted {
		m.quota.giveFile()
	}
	return 0
}

// Unlink implements sys.FS. It removes anything that is not a directory, so that a
// guest can clean up what it may not open. The bytes of an open file count until
// it is closed.
func (m *FS) Unlink(path string) sys.Errno {
	n, errno := m.target(path)
	if errno != 0 {
		return errno
	}
	if n.isRoot() {
		return sys.EISDIR
	}
	defer m.paths.alone(n.path).Unlock()
	st, errno := m.look(n)
	if errno != 0 {
		return errno
	}
	if st.Mode.IsDir() {
		return sys.EISDIR
	}
	if n.isDir {
		return notDirectory(st)
	}
	v := m.victim(n, st)
	m.names.Add(1)
	if err := m.root.Remove(n.path); err != nil {
		v.spare()
		return m.errno(err)
	}
	v.gone()
	return 0
}

// Rename implements sys.FS. A file replaces a file in one step. A directory can
// replace an empty one, which is removed just before. It cannot be moved to a
// place where something in it would be deeper than a path can be (ENAMETOOLONG),
// nor to any deeper place if it has more than 2¹⁶ entries (EXDEV).
func (m *FS) Rename(from, to string) sys.Errno {
	a, errno := m.target(from)
	if errno != 0 {
		return errno
	}
	b, errno := m.target(to)
	if errno != 0 {
		return errno
	}
	if a.isRoot() || b.isRoot() {
		return EBUSY
	}
	unlock := m.paths.both(a.path, b.path)
	defer func() { unlock() }()
	source, errno := m.look(a)
	if errno == 0 && source.Mode.IsDir() {
		unlock()
		unlock = m.paths.all()
		source, errno = m.look(a)
	}
	if errno != 0 {
		return errno
	}
	target, errno := m.look(b)
	if errno != 0 && errno != sys.ENOENT {
		return errno
	}
	there := errno == 0
	switch {
	case source.Mode.IsDir():
		return m.renameDirectory(a, b, source, target, there)
	case !source.Mode.IsRegular():
		return notFile(source)
	case a.isDir || b.isDir:
		return sys.ENOTDIR
	}
	return m.renameFile(a, b, source, target, there)
}

func (m *FS) renameFile(a, b name, source, target wasys.Stat_t, there bool) sys.Errno {
	v := victim{}
	switch {
	case there && target.Mode.IsDir():
		return sys.EISDIR
	case there && same(a, b, source, target):
		// These are two names of one file. POSIX leaves both; on a file system
		// that ignores case, this is how the case of a name is changed.
	case there:
		v = m.victim(b, target)
	}
	m.names.Add(1)
	if err := m.root.Rename(a.path, b.path); err != nil {
		v.spare()
		return m.errno(err)
	}
	v.gone()
	return 0
}

func (m *FS) renameDirectory(a, b name, source, target wasys.Stat_t, there bool) sys.Errno {
	switch {
	case a.path == b.path:
		return 0
	case strings.HasPrefix(b.path, a.path+"/"):
		return sys.EINVAL
	case there && !target.Mode.IsDir():
		return notDirectory(target)
	}
	if errno := m.sinks(a, b); errno != 0 {
		return errno
	}
	m.names.Add(1)
	if there && !same(a, b, source, target) {
		// Package os replaces no directory. The system checks that it is empty.
		if err := m.root.Remove(b.path); err != nil {
			return m.errno(err)
		}
		if m.counted {
			m.quota.giveFile()
		}
	}
	return m.errno(m.root.Rename(a.path, b.path))
}

// Utimens implements sys.FS.
func (m *FS) Utimens(path string, atim, mtim int64) sys.Errno {
	n, errno := m.target(path)
	if errno != 0 {
		return errno
	}
	st, errno := m.look(n)
	switch {
	case errno != 0:
		return errno
	case st.Mode.IsDir():
	case n.isDir:
		return notDirectory(st)
	case !st.Mode.IsRegular():
		return notFile(st)
	}
	return m.errno(m.root.Chtimes(n.path, timeOf(atim), timeOf(mtim)))
}

// timeOf returns the zero time, which changes nothing, for a time that is left
// out.
func timeOf(nanos int64) time.Time {
	if nanos == sys.UTIME_OMIT {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// victim is a file that is about to lose its name. Its path is locked exclusively,
// so that nobody opens it meanwhile.
type victim struct {
	m    *FS
	node *node // detached, if the file is open
	size int64 // otherwise final
}

func (m *FS) victim(n name, st wasys.Stat_t) victim {
	if !m.counted {
		return victim{}
	}
	if !st.Mode.IsRegular() {
		return victim{m: m}
	}
	v := victim{m: m, size: st.Size}
	id, known := identifyPath(m.root, n.path, st)
	if !known {
		return v
	}
	if v.node = m.handles.detach(id); v.node == nil {
		// The last handle may have been closed since then, after a write.
		if st, errno := m.look(n); errno == 0 {
			v.size = st.Size
		}
	}
	return v
}

// gone counts what was lost with the name.
func (v victim) gone() {
	if v.m == nil {
		return
	}
	v.m.quota.giveFile()
	if v.node == nil {
		v.m.quota.giveBytes(v.size)
		return
	}
	v.m.handles.unlink(v.node, v.size)
	v.m.quota.giveBytes(v.m.handles.release(v.node))
}

// spare undoes victim: the file is still there.
func (v victim) spare() {
	if v.node != nil {
		v.m.handles.attach(v.node)
		v.m.handles.release(v.node)
	}
}
