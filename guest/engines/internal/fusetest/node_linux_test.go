package fusetest

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// node is a file or directory as the kernel knows it.
type node struct {
	fs.Inode
	machine *machine
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeFlusher   = (*node)(nil)
	_ fs.NodeReleaser  = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

// handle is an open file.
type handle struct{ vfs.File }

func (n *node) name() string             { return n.Path(nil) }
func (n *node) child(name string) string { return path.Join(n.name(), name) }

// here reports whether the disk still has the node, under the name by which the kernel
// knows it. The machine's lock is held.
func (n *node) here() bool {
	number, err := n.machine.disk.Number(n.name())
	return err == nil && number == n.StableAttr().Ino
}

// entry describes a name for the kernel. The machine's lock is held.
func (n *node) entry(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, error) {
	info, err := n.machine.disk.Stat(name)
	if err != nil {
		return nil, err
	}
	return n.enter(ctx, name, info, out)
}

func (n *node) enter(ctx context.Context, name string, info vfs.Info, out *fuse.EntryOut) (*fs.Inode, error) {
	number, err := n.machine.disk.Number(name)
	if err != nil {
		return nil, err
	}
	n.machine.describe(number, info, &out.Attr)
	return n.NewInode(ctx, &node{machine: n.machine}, fs.StableAttr{Mode: out.Attr.Mode & syscall.S_IFMT, Ino: number}), nil
}

// describe fills in the attributes of a file or directory. The machine's lock is held.
func (m *machine) describe(number uint64, info vfs.Info, out *fuse.Attr) {
	changed, ok := m.changed[number]
	if !ok {
		changed = time.Now()
		m.changed[number] = changed
	}
	out.SetTimes(&changed, &changed, &changed)
	out.Ino = number
	out.Mode, out.Nlink = syscall.S_IFREG|0o600, 1
	if info.Kind == vfs.Dir {
		out.Mode, out.Nlink = syscall.S_IFDIR|0o700, 2
	}
	out.Size, out.Blocks, out.Blksize = uint64(info.Size), uint64(info.Size+511)/512, 4096
	out.Uid, out.Gid = uint32(os.Geteuid()), uint32(os.Getegid())
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (found *fs.Inode, errno syscall.Errno) {
	errno = n.machine.do(func() (err error) {
		found, err = n.entry(ctx, n.child(name), out)
		return err
	})
	return found, errno
}

func (n *node) Getattr(_ context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return n.machine.do(func() error {
		if h, ok := f.(*handle); ok {
			size, err := h.Size()
			n.describe(vfs.Info{Size: size}, &out.Attr)
			if !n.here() {
				out.Attr.Nlink = 0
			}
			return err
		}
		if !n.here() { // and open, or the kernel would not ask
			n.describe(vfs.Info{Kind: n.kind()}, &out.Attr)
			out.Attr.Nlink = 0
			return nil
		}
		info, err := n.machine.disk.Stat(n.name())
		n.describe(info, &out.Attr)
		return err
	})
}

func (n *node) describe(info vfs.Info, out *fuse.Attr) {
	n.machine.describe(n.StableAttr().Ino, info, out)
}

// touch notes that the node was changed. The machine's lock is held.
func (n *node) touch(when time.Time) { n.machine.changed[n.StableAttr().Ino] = when }

func (n *node) kind() vfs.Kind {
	if n.IsDir() {
		return vfs.Dir
	}
	return vfs.Regular
}

// Setattr changes lengths and times. Modes and owners are the same for all files here.
func (n *node) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if when, ok := in.GetMTime(); ok {
		n.machine.mu.Lock()
		n.touch(when)
		n.machine.mu.Unlock()
	}
	if size, ok := in.GetSize(); ok {
		errno := n.machine.do(func() error {
			n.touch(time.Now())
			if h, ok := f.(*handle); ok {
				return h.Truncate(int64(size))
			}
			file, err := n.machine.disk.OpenFile(n.name(), vfs.ReadWrite)
			if err != nil {
				return err
			}
			return errors.Join(file.Truncate(int64(size)), file.Close())
		})
		if errno != 0 {
			return errno
		}
	}
	return n.Getattr(ctx, f, out)
}

func (n *node) Readdir(context.Context) (stream fs.DirStream, errno syscall.Errno) {
	errno = n.machine.do(func() error {
		entries, err := n.machine.disk.ReadDir(n.name())
		list := make([]fuse.DirEntry, 0, len(entries))
		for _, e := range entries {
			mode := uint32(syscall.S_IFREG)
			if e.Kind == vfs.Dir {
				mode = syscall.S_IFDIR
			}
			list = append(list, fuse.DirEntry{Name: e.Name, Mode: mode})
		}
		stream = fs.NewListDirStream(list)
		return err
	})
	return stream, errno
}

func (n *node) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (made *fs.Inode, errno syscall.Errno) {
	errno = n.machine.do(func() (err error) {
		if err = n.machine.disk.Mkdir(n.child(name)); err == nil {
			made, err = n.enter(ctx, n.child(name), vfs.Info{Kind: vfs.Dir}, out)
		}
		return err
	})
	return made, errno
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.machine.do(func() error { return n.machine.disk.Remove(n.child(name)) })
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.machine.do(func() error { return n.machine.disk.RemoveDir(n.child(name)) })
}

func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	newName = path.Join(to.EmbeddedInode().Path(nil), newName)
	return n.machine.do(func() error { return n.machine.disk.Rename(n.child(name), newName) })
}

func (n *node) Create(ctx context.Context, name string, flags, _ uint32, out *fuse.EntryOut) (made *fs.Inode, h fs.FileHandle, how uint32, errno syscall.Errno) {
	errno = n.machine.do(func() error {
		file, err := n.machine.disk.OpenFile(n.child(name), flagsOf(flags)|vfs.Create)
		if err != nil {
			return err
		}
		made, err = n.enter(ctx, n.child(name), vfs.Info{}, out)
		h = &handle{file}
		return err
	})
	return made, h, fuse.FOPEN_DIRECT_IO, errno
}

// Open makes the kernel pass on each read and write unchanged: it keeps no pages, and a
// short write stays short.
func (n *node) Open(_ context.Context, flags uint32) (h fs.FileHandle, how uint32, errno syscall.Errno) {
	errno = n.machine.do(func() error {
		if !n.here() {
			return syscall.ESTALE
		}
		file, err := n.machine.disk.OpenFile(n.name(), flagsOf(flags)&^(vfs.Create|vfs.Exclusive))
		h = &handle{file}
		return err
	})
	return h, fuse.FOPEN_DIRECT_IO, errno
}

func flagsOf(flags uint32) (f vfs.Flag) {
	for flag, is := range map[uint32]vfs.Flag{
		syscall.O_WRONLY: vfs.ReadWrite, syscall.O_RDWR: vfs.ReadWrite,
		syscall.O_EXCL: vfs.Exclusive, syscall.O_TRUNC: vfs.Truncate,
	} {
		if flags&flag != 0 {
			f |= is
		}
	}
	return f
}

func (n *node) Read(_ context.Context, f fs.FileHandle, dest []byte, offset int64) (result fuse.ReadResult, errno syscall.Errno) {
	errno = n.machine.do(func() error {
		read, err := f.(*handle).ReadAt(dest, offset)
		if err == io.EOF {
			err = nil
		}
		result = fuse.ReadResultData(dest[:read])
		return err
	})
	return result, errno
}

// Write returns an error only if nothing was written, like write(2).
func (n *node) Write(_ context.Context, f fs.FileHandle, data []byte, offset int64) (written uint32, errno syscall.Errno) {
	errno = n.machine.do(func() error {
		done, err := f.(*handle).WriteAt(data, offset)
		if written = uint32(done); done > 0 {
			n.touch(time.Now())
			return nil
		}
		return err
	})
	return written, errno
}

// Fsync syncs files and directories.
func (n *node) Fsync(_ context.Context, f fs.FileHandle, _ uint32) syscall.Errno {
	return n.machine.do(func() error {
		if h, ok := f.(*handle); ok {
			return h.Sync()
		}
		if !n.here() { // nothing of a removed file needs to survive
			return nil
		}
		return n.machine.disk.SyncDir(n.name())
	})
}

// Flush is called by close, which waits for it.
func (n *node) Flush(context.Context, fs.FileHandle) syscall.Errno {
	return n.machine.do(func() error {
		_, err := n.machine.ask(crash.Op{Kind: crash.Close})
		return err
	})
}

// Release is waited for by nobody. It is also called for the handles of ended processes.
func (n *node) Release(_ context.Context, f fs.FileHandle) syscall.Errno {
	if h, ok := f.(*handle); ok {
		n.machine.mu.Lock()
		defer n.machine.mu.Unlock()
		return fs.ToErrno(h.Close())
	}
	return 0
}

func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	out.Blocks, out.Bfree, out.Bavail = 1<<20, 1<<19, 1<<19
	out.Files, out.Ffree = 1<<20, 1<<19
	return 0
}
