// Package mount lets a guest see one directory of the host and nothing else.
//
// An [FS] is wazero's filesystem interface over an [os.Root]: no path, link, race
// or swap of directories by another process leads outside the directory. It also
// refuses what a guest must not use (links, devices, pipes, sockets), hides the
// names that belong to the host, makes everything private to the user of the
// process, and keeps quotas.
//
// README.md in this folder says what is promised on which system.
package mount

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// DefaultMaxOpen is how many files and directories a guest may hold open if
// [Options] does not say.
const DefaultMaxOpen = 256

// Options are the limits of a mount. The zero value is a mount for reading and
// writing whose only quota is [DefaultMaxOpen].
type Options struct {
	// ReadOnly refuses every change, with EROFS.
	ReadOnly bool

	// MaxBytes is the largest sum of the sizes of all files; holes count. 0 means
	// no limit. A write or truncation that would go beyond it changes nothing and
	// fails with [ENOSPC].
	MaxBytes int64

	// MaxFiles is how many files and directories there may be, not counting the
	// mounted directory itself. 0 means no limit. Creating one more fails with
	// [ENOSPC].
	MaxFiles int64

	// MaxOpen is how many files and directories all guests of the mount may hold
	// open together. 0 means [DefaultMaxOpen]. Opening one more fails with
	// [EMFILE].
	MaxOpen int

	// Handles are shared with other mounts, and asked for each file and directory
	// that a guest opens besides. Nil stands for as many as there are.
	Handles Handles

	// Exceeded is called each time that a quota makes an operation fail. Several goroutines
	// may call it at once. Nil means no call.
	Exceeded func(Quota)
}

// Quota is one of the quotas of a mount.
type Quota int

// The quotas, as [Options] has them.
const (
	QuotaBytes Quota = iota
	QuotaFiles
	QuotaOpen
)

// Handles count what is open in several mounts.
type Handles interface {
	// Take reports whether one more may be open, which fails with [EMFILE] if not.
	Take() bool
	// Give gives back what Take has taken.
	Give()
}

// Usage is what counts against the quotas of a mount. Bytes and Files are 0 if
// neither MaxBytes nor MaxFiles is set, since nothing is counted then.
type Usage struct {
	Bytes, Files int64
	Open         int
}

// FS is a directory that guests may use. It implements wazero's sys.FS; package
// wasi gives it to a guest.
//
// Many goroutines may call all methods at once; one open file belongs to one guest
// instance.
type FS struct {
	sys.UnimplementedFS

	root     *os.Root
	top      top
	dir      string
	place    place
	readOnly bool
	counted  bool // a quota of bytes or files is set
	escape   error
	quota    quota
	paths    stripes
	handles  handles
	syncs    chan struct{} // one for each that runs in the background
	names    atomic.Uint64 // changes of names that were begun
	closing  sync.Once
	closed   atomic.Bool
}

var _ sys.FS = (*FS)(nil)

// Open mounts an existing directory. With a quota of bytes or files it goes
// through the whole tree once to count what is there. If it finds more than the
// quota allows, nothing can be added until enough is removed.
//
// It returns an error if dir is not a readable directory, or if its tree has more
// than 2²⁴ entries. What is deeper in it than a guest's paths can be is counted,
// and the guest can remove or move what is above.
func Open(dir string, opts Options) (*FS, error) {
	if opts.MaxBytes < 0 || opts.MaxFiles < 0 || opts.MaxOpen < 0 {
		return nil, fmt.Errorf("mount: the limits are %d bytes, %d files and %d open files: must not be negative; 0 means the default",
			opts.MaxBytes, opts.MaxFiles, opts.MaxOpen)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	m := &FS{root: root, dir: dir, readOnly: opts.ReadOnly, syncs: make(chan struct{}, maxSyncs)}
	m.quota.limit(opts)
	m.counted = !opts.ReadOnly && (opts.MaxBytes > 0 || opts.MaxFiles > 0)
	if m.place, err = placeOf(root, dir); err != nil {
		root.Close()
		return nil, fmt.Errorf("mount: %w", err)
	}
	// The error of a path that leads outside has no exported name.
	_, err = root.Lstat("..")
	if m.escape = errors.Unwrap(err); m.escape == nil {
		root.Close()
		return nil, fmt.Errorf("mount: the parent of %s is not refused: %v", dir, err)
	}
	if err := m.top.open(root); err != nil {
		root.Close()
		return nil, fmt.Errorf("mount: %w", err)
	}
	if m.counted {
		bytes, files, err := count(root)
		if err != nil {
			m.top.close()
			root.Close()
			return nil, fmt.Errorf("mount: counting the files of %s: %w", dir, err)
		}
		m.quota.bytes.Store(bytes)
		m.quota.files.Store(files)
	}
	return m, nil
}

// Usage returns what is in use now.
func (m *FS) Usage() Usage {
	return Usage{
		Bytes: m.quota.bytes.Load(),
		Files: m.quota.files.Load(),
		Open:  int(m.quota.open.Load()),
	}
}

// Exceeds reports whether there is more than the quotas allow, which is possible
// if it was there before.
func (m *FS) Exceeds() bool {
	return m.quota.bytes.Load() > m.quota.maxBytes || m.quota.files.Load() > m.quota.maxFiles
}

// String returns the directory as it was given to Open.
func (m *FS) String() string { return m.dir }

// Close closes the directory and everything that guests hold open in it. Later
// operations on these fail with EBADF; one that has begun may still end. Closing
// twice is not an error.
func (m *FS) Close() (err error) {
	m.closing.Do(func() {
		m.closed.Store(true)
		for _, h := range m.handles.end() {
			h.Close()
		}
		m.top.close()
		err = m.root.Close()
	})
	return err
}

// background returns what a file needs whose syncs need not be waited for, or nil.
func (m *FS) background(flag sys.Oflag) *behind {
	if flag&sys.O_NONBLOCK == 0 {
		return nil
	}
	return &behind{slots: m.syncs}
}

// errno is the error that a guest gets for an error of package os.
func (m *FS) errno(err error) sys.Errno {
	if err == nil {
		return 0
	}
	if errors.Is(err, m.escape) {
		return sys.EPERM
	}
	return errnoOf(err)
}
