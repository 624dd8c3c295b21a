package mount

import (
	"errors"
	"io/fs"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// How often an open starts again because somebody else made, removed or
// replaced the file between two system calls.
const maxOpenAttempts = 16

// OpenFile implements sys.FS. It opens only regular files and directories. It
// never opens a symbolic link (ELOOP), nor a device, a pipe, a socket or a file
// that has a second name somewhere, perhaps outside (EPERM). A file that is
// created is 0600, whatever perm says.
func (m *FS) OpenFile(path string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	n, errno := parse(path)
	if errno != 0 {
		return nil, errno
	}
	if n.isRoot() {
		return m.openRoot(flag, perm)
	}
	write := flag&(sys.O_RDWR|sys.O_WRONLY) != 0
	if flag&sys.O_DIRECTORY != 0 {
		// Some guests always ask for all rights.
		write = false
		if flag&sys.O_CREAT != 0 {
			return nil, sys.EINVAL
		}
	}
	switch {
	case m.readOnly && (write || flag&(sys.O_CREAT|sys.O_TRUNC|sys.O_APPEND) != 0):
		return nil, sys.EROFS
	case flag&sys.O_TRUNC != 0 && !write:
		return nil, sys.EINVAL
	case n.hidden && flag&sys.O_CREAT != 0:
		return nil, sys.EPERM
	case n.hidden:
		return nil, sys.ENOENT
	case n.isDir && flag&sys.O_CREAT != 0:
		return nil, sys.EISDIR
	}
	if !m.quota.takeOpen() {
		return nil, EMFILE
	}
	defer m.paths.shared(n.path).RUnlock()
	for range maxOpenAttempts {
		f, again, errno := m.tryOpen(n, flag, write)
		if !again {
			if errno != 0 {
				m.quota.giveOpen()
			}
			return f, errno
		}
	}
	m.quota.giveOpen()
	return nil, sys.EAGAIN
}

// openRoot opens the mounted directory itself.
//
// wazero opens it for each instance, on first use and with perm 0, which is not
// how it opens anything for a guest. It panics on any error but ENOENT, so that
// is the only one it gets, and no quota applies.
func (m *FS) openRoot(flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	preopen := perm == 0 && flag == sys.O_RDONLY
	if !preopen {
		switch {
		case flag&sys.O_CREAT != 0, flag&sys.O_DIRECTORY == 0 && flag&(sys.O_RDWR|sys.O_WRONLY|sys.O_TRUNC) != 0:
			return nil, sys.EISDIR
		case !m.quota.takeOpen():
			return nil, EMFILE
		}
	}
	f, errno := m.openDir(".", flag, !preopen)
	if errno != 0 && preopen {
		return nil, sys.ENOENT
	}
	if errno != 0 {
		m.quota.giveOpen()
		return nil, errno
	}
	return f, 0
}

func (m *FS) openDir(path string, flag sys.Oflag, charged bool) (sys.File, sys.Errno) {
	// Package os lists a directory that it opened itself without leaving it.
	o, err := m.openStepwise(path, os.O_RDONLY|openDirectory)
	if err != nil {
		return nil, m.errno(err)
	}
	if !o.st.Mode.IsDir() {
		o.f.Close()
		return nil, sys.ENOTDIR
	}
	d := &directory{m: m, f: o.f, dev: o.st.Dev, ino: o.st.Ino, charged: charged, behind: m.background(flag)}
	d.to = d.seek
	if !m.handles.add(d) {
		o.f.Close()
		return nil, sys.EBADF
	}
	return d, 0
}

// tryOpen looks up what is there, opens it, and makes sure that it opened what
// it had looked up.
func (m *FS) tryOpen(n name, flag sys.Oflag, write bool) (f sys.File, again bool, errno sys.Errno) {
	if flag&(sys.O_CREAT|sys.O_DIRECTORY) == 0 && !n.isDir && m.seemsRegular(n.path) {
		// Whatever is not as expected is found out step by step.
		if o, err := m.openAt(n.path, osFlags(flag, write)); err == nil {
			return m.admit(o, nil, flag, write)
		}
	}
	st, errno := m.look(n)
	if errno == sys.ENOENT && flag&sys.O_CREAT != 0 {
		return m.create(n, flag, write)
	}
	if errno != 0 {
		return nil, false, errno
	}
	if flag&(sys.O_CREAT|sys.O_EXCL) == sys.O_CREAT|sys.O_EXCL {
		return nil, false, sys.EEXIST
	}
	switch {
	case st.Mode.IsDir() && (write || flag&sys.O_CREAT != 0):
		return nil, false, sys.EISDIR
	case st.Mode.IsDir():
		f, errno = m.openDir(n.path, flag, true)
		return f, false, errno
	case n.isDir || flag&sys.O_DIRECTORY != 0:
		return nil, false, notDirectory(st)
	case !st.Mode.IsRegular():
		return nil, false, notFile(st)
	}
	o, err := m.openAt(n.path, osFlags(flag, write))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, 0
	}
	if err != nil {
		return nil, false, m.errno(err)
	}
	return m.admit(o, &st, flag, write)
}

// notFile is the error for something that is not a regular file.
func notFile(st wasys.Stat_t) sys.Errno {
	if st.Mode&fs.ModeSymlink != 0 {
		return sys.ELOOP
	}
	return sys.EPERM
}

// notDirectory is the error for something that should be a directory and is
// not.
func notDirectory(st wasys.Stat_t) sys.Errno {
	if st.Mode&fs.ModeSymlink != 0 {
		return sys.ELOOP
	}
	return sys.ENOTDIR
}

// create makes a new file. If the file already exists, the caller opens it
// instead.
func (m *FS) create(n name, flag sys.Oflag, write bool) (f sys.File, again bool, errno sys.Errno) {
	if m.counted && !m.quota.takeFile() {
		return nil, false, ENOSPC
	}
	m.names.Add(1)
	made, err := m.root.OpenFile(n.path, osFlags(flag, write)|os.O_CREATE|os.O_EXCL, fileMode)
	if err == nil {
		o, err := openedFile(made)
		if err != nil {
			return nil, false, m.errno(err)
		}
		return m.admit(o, nil, flag&^sys.O_TRUNC, write)
	}
	if m.counted {
		m.quota.giveFile()
	}
	if errors.Is(err, fs.ErrExist) && flag&sys.O_EXCL == 0 {
		return nil, true, 0
	}
	return nil, false, m.errno(err)
}

// opened is what was opened, and what it is.
type opened struct {
	f     *os.File
	st    wasys.Stat_t
	id    fileID
	links uint64
}

// openStepwise is openAt by means of package os.
func (m *FS) openStepwise(path string, flags int) (opened, error) {
	f, err := m.root.OpenFile(path, flags, 0)
	if err != nil {
		return opened{}, err
	}
	return openedFile(f)
}

// openedFile says what a file is, or closes it.
func openedFile(f *os.File) (o opened, err error) {
	info, err := f.Stat()
	if err == nil {
		o = opened{f: f, st: wasys.NewStat_t(info)}
		o.id, o.links, err = identify(f, info)
	}
	if err != nil {
		f.Close()
	}
	return o, err
}

// admit makes a handle for an opened file. seen is what was there before, or
// nil for a file that was created.
func (m *FS) admit(o opened, seen *wasys.Stat_t, flag sys.Oflag, write bool) (f sys.File, again bool, errno sys.Errno) {
	if seen != nil && (seen.Ino != o.st.Ino || seen.Dev != o.st.Dev) {
		o.f.Close()
		return nil, true, 0
	}
	if !o.st.Mode.IsRegular() || o.links > 1 {
		o.f.Close()
		return nil, false, sys.EPERM
	}
	h := &file{
		m: m, f: o.f, node: m.handles.node(o.id), id: o.id, length: o.st.Size,
		read: flag&sys.O_WRONLY == 0, write: write, append: flag&sys.O_APPEND != 0, behind: m.background(flag),
	}
	h.to = h.seek
	if !m.handles.add(h) {
		m.handles.release(h.node)
		o.f.Close()
		return nil, false, sys.EBADF
	}
	if flag&sys.O_TRUNC != 0 {
		if errno := h.Truncate(0); errno != 0 {
			m.handles.remove(h)
			m.handles.release(h.node)
			o.f.Close()
			return nil, false, errno
		}
	}
	return h, false, 0
}

// osFlags are the flags for package os. Creating, truncating and appending are
// done by other means, since they must be counted.
func osFlags(flag sys.Oflag, write bool) int {
	flags := openFile
	switch {
	case write && flag&sys.O_WRONLY != 0:
		flags |= os.O_WRONLY
	case write:
		flags |= os.O_RDWR
	default:
		flags |= os.O_RDONLY
	}
	if flag&(sys.O_SYNC|sys.O_DSYNC|sys.O_RSYNC) != 0 {
		flags |= os.O_SYNC
	}
	return flags
}
