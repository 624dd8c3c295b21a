package plugin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/dirlock"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

// Mount grants a guest a directory. The guest sees it under a path of its own, and
// nothing around it: no link, path or race leads out. Devices and the like are refused.
// Files are private to the user of the process whatever the guest asks for.
// internal/mount/README.md says exactly what holds.
type Mount struct {
	// Dir is the directory, which must exist.
	Dir string

	// Path is the absolute path under which the guest finds it. Empty means
	// [DefaultMountPath].
	Path string

	// ReadOnly refuses every change. A directory that may be changed is locked. A
	// second plugin or process that may change it gets a [LoadError], which is
	// [ErrInUse] and names the directory and the process that has it.
	ReadOnly bool

	// MaxBytes bounds the sum of the sizes of all files. 0 means [DefaultMountBytes],
	// or no bound for a trusted guest. Less than 0 means no bound for any guest.
	MaxBytes int64

	// MaxFiles bounds the number of files and directories, since even empty ones take
	// room on a disk. 0 means one for each 4096 bytes of MaxBytes and at least 1024,
	// or no bound if MaxBytes has none. Less than 0 means no bound.
	MaxFiles int64

	// MaxOpen bounds how many files and directories all instances of the guest hold
	// open together. 0 means 128 for each shard and at least 256.
	//
	// Beyond these bounds the guest gets ENOSPC or EMFILE, as from a real file system.
	MaxOpen int
}

// DefaultMountBytes is the MaxBytes of a mount of a guest that is not trusted.
const DefaultMountBytes = 1 << 30

const (
	// bytesPerFile is how many bytes of a quota allow one file. A file of one byte
	// usually takes that much of a disk, and even an empty one takes an inode.
	bytesPerFile = 4096
	leastFiles   = 1024
)

// filesFor returns how many files and directories a quota of bytes allows by default, 0
// for no bound.
func filesFor(maxBytes int64) int64 {
	if maxBytes == 0 {
		return 0
	}
	return max(maxBytes/bytesPerFile, leastFiles)
}

// resolveMounts fills in the default quotas. 0 then means no bound.
func (s *resolved) resolveMounts() {
	s.Mounts = slices.Clone(s.Mounts)
	for i := range s.Mounts {
		m := &s.Mounts[i]
		if m.MaxBytes == 0 && !s.Trusted {
			m.MaxBytes = DefaultMountBytes
		}
		m.MaxBytes = max(m.MaxBytes, 0)
		if m.MaxFiles == 0 {
			m.MaxFiles = filesFor(m.MaxBytes)
		}
		m.MaxFiles = max(m.MaxFiles, 0)
	}
}

// DefaultMountPath is the path of a mount that names no other.
const DefaultMountPath = abi.MountPath

// How many files guests may hold open by default. The bundled engines hold fewer than
// openPerShard at a time.
const (
	leastMaxOpen = 256
	openPerShard = 128
)

// mounts are the open directories of a plugin.
type mounts struct {
	config  wazero.FSConfig // nil for none
	open    []*mount.FS
	written []*mount.FS // those of open that are not read-only
	locks   []*dirlock.Lock

	// Set until the guest has opened: directories with another number of shards, and
	// those in which the number will be noted.
	others  []*ShardsError
	unnoted []string

	handles int64 // taken from the host's budget
}

// handlesOfMount is how many handles a mount itself has open: two of the directory and
// two for its lock.
const handlesOfMount = 4

// guestHandles counts what a plugin's guest has open against the host's budget.
type guestHandles struct{ p *Plugin }

func (h guestHandles) Take() bool {
	err := h.p.account().charge(h.p.config.Host.budgets.handles, 1)
	if err != nil {
		h.p.store.Complain("the guest cannot open a file", err)
	}
	return err == nil
}

func (h guestHandles) Give() { h.p.config.Host.budgets.handles.give(1) }

var limitsOfQuotas = map[mount.Quota]Limit{mount.QuotaBytes: LimitBytes, mount.QuotaFiles: LimitFiles, mount.QuotaOpen: LimitOpenFiles}

func (p *Plugin) exceededQuota(q mount.Quota) { p.machine.limits.count(limitsOfQuotas[q]) }

// mount opens the directories that the guest is granted.
func (p *Plugin) mount(ctx context.Context) error {
	config := wazero.NewFSConfig()
	seen := make(map[string]bool)
	for _, m := range p.config.Mounts {
		at := m.Path
		if at == "" {
			at = DefaultMountPath
		}
		if !path.IsAbs(at) || path.Clean(at) != at || seen[at] {
			return configError("the Path of the mount of %q is %q: must be absolute, clean and not another mount's", m.Dir, at)
		}
		seen[at] = true
		if err := p.account().charge(p.config.Host.budgets.handles, handlesOfMount); err != nil {
			return loadError(ErrLimits, err, "%v", err)
		}
		p.mounts.handles += handlesOfMount
		if !m.ReadOnly {
			lock, err := p.lockDir(ctx, m.Dir)
			if err != nil {
				return mountError(m, err)
			}
			p.mounts.locks = append(p.mounts.locks, lock)
		}
		if err := p.checkShards(m); err != nil {
			return err
		}
		if m.MaxOpen == 0 {
			m.MaxOpen = max(leastMaxOpen, openPerShard*p.config.Shards)
		}
		fs, err := mount.Open(m.Dir, mount.Options{ReadOnly: m.ReadOnly, MaxBytes: m.MaxBytes, MaxFiles: m.MaxFiles, MaxOpen: m.MaxOpen, Handles: guestHandles{p}, Exceeded: p.exceededQuota})
		if err != nil {
			return mountError(m, err)
		}
		p.mounts.open = append(p.mounts.open, fs)
		if fs.Exceeds() {
			used := fs.Usage()
			p.config.Logger.Warn("a directory has more in it than its quota allows: the guest can add nothing", "plugin", p.Name(),
				"dir", m.Dir, "bytes", used.Bytes, "max_bytes", m.MaxBytes, "files", used.Files, "max_files", m.MaxFiles)
		}
		if !m.ReadOnly {
			p.mounts.written = append(p.mounts.written, fs)
		}
		config = wasi.Mount(config, fs, at)
	}
	p.mounts.config = config
	return nil
}

// lockDir locks a directory. If another process has it, it waits for up to LockWait.
func (p *Plugin) lockDir(ctx context.Context, dir string) (*dirlock.Lock, error) {
	waited := false
	began := time.Now()
	lock, err := dirlock.Wait(ctx, dir, p.config.LockWait, func(held *dirlock.InUseError) {
		waited = true
		p.config.Logger.Warn("waiting for a directory that another process has", "plugin", p.Name(), "dir", dir,
			"pid", held.PID, "host", held.Host, "since", held.Since, "at_most", p.config.LockWait)
	})
	if waited && err == nil {
		p.config.Logger.Info("the directory is free", "plugin", p.Name(), "dir", dir, "waited", time.Since(began).Round(time.Millisecond))
	}
	if err == nil {
		p.clock.reference(lock.Before())
	}
	return lock, err
}

func mountError(m Mount, err error) error {
	kind := ErrDirectory
	if errors.Is(err, dirlock.ErrInUse) {
		kind = ErrInUse
	}
	return loadError(kind, err, "%s", printable.Clean(fmt.Sprintf("%q: %v", m.Dir, err)))
}

// present answers UNAVAILABLE if a writable directory is no longer in its place: nobody
// would find what the guest writes there.
func (m *mounts) present() error {
	for _, fs := range m.written {
		if err := fs.Present(); err != nil {
			return &protocol.Answer{Code: abi.Unavailable, Message: printable.Clean(err.Error())}
		}
	}
	return nil
}

// fileBytes returns how many bytes the guest may have in all its directories, -1 if one
// of them has no quota.
func (s *resolved) fileBytes() (bytes int64) {
	for _, m := range s.Mounts {
		if m.MaxBytes == 0 || m.MaxBytes > math.MaxInt64-bytes {
			return -1
		}
		bytes += m.MaxBytes
	}
	return bytes
}

// keepsFiles reports whether the guest can have its records in files. Two instances of
// such a guest must not be open at once, and each finds what the previous one saved.
func (s *resolved) keepsFiles() bool {
	for _, m := range s.Mounts {
		if !m.ReadOnly {
			return true
		}
	}
	return false
}

// close releases the directories. There must be no instance left.
func (m *mounts) close(handles *budget) error {
	handles.give(m.handles)
	var errs []error
	for _, fs := range m.open {
		errs = append(errs, fs.Close())
	}
	for _, lock := range m.locks {
		errs = append(errs, lock.Close())
	}
	*m = mounts{}
	return errors.Join(errs...)
}
