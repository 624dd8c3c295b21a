package fusetest

import (
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// machine has a simulated disk, which is mounted while the machine is up. Programs see the
// disk's files in the mount, and their requests go to the disk.
type machine struct {
	t   *testing.T
	dir string // where the disk is mounted

	mu    sync.Mutex // the disk serves one at a time
	disk  *crash.Disk
	rng   *rand.Rand
	fault *fault // what is wrong with the disk, nil for nothing
	hits  int    // how often the fault struck
	off   bool   // gone is closed

	synced time.Time // when something was last synced

	changed map[uint64]time.Time // when a file or directory was last changed, by its number

	gone     chan struct{} // closed when the power goes
	released chan struct{} // closed when nobody is left who could see an answer

	server *fuse.Server // nil while the machine is down
}

func newMachine(t *testing.T, rng *rand.Rand) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), disk: crash.New(), rng: rng, changed: make(map[uint64]time.Time)}
	t.Cleanup(func() {
		if m.server != nil {
			m.halt()
		}
	})
	return m
}

// boot mounts the disk. If it cannot be mounted, the test is skipped; in CI, a system that
// has FUSE must allow mounting.
func (m *machine) boot() {
	m.t.Helper()
	m.gone, m.released, m.off = make(chan struct{}), make(chan struct{}), false
	m.disk.Hook(m.ask)
	server, err := mount(m.dir, &node{machine: m})
	switch {
	case errors.Is(err, errNoFUSE):
		m.t.Skipf("SKIPPED: %v", err)
	case err != nil && os.Getenv("CI") == "true":
		m.t.Fatalf("a file system that fails cannot be mounted: %v", err)
	case err != nil:
		m.t.Skipf("SKIPPED: a file system that fails cannot be mounted: %v", err)
	}
	m.server = server
}

// rootNumber is the number of the disk's root directory.
const rootNumber = 1

var errNoFUSE = errors.New("a file system that fails needs FUSE, which is missing here")

// mount does not use the program fusermount. It opens the device itself. If the package
// opened it, the server would inherit the descriptor and wait for ever for a file system
// that ended with its test.
func mount(dir string, root fs.InodeEmbedder) (*fuse.Server, error) {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("%w: %v", errNoFUSE, err)
	} else if err != nil {
		return nil, err
	}
	defer device.Close()
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d", device.Fd(), syscall.S_IFDIR, os.Geteuid(), os.Getegid())
	if err := syscall.Mount("fusetest", dir, "fuse.fusetest", syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	fd, err := syscall.Dup(int(device.Fd())) // which the package closes
	if err != nil {
		return nil, errors.Join(err, syscall.Unmount(dir, syscall.MNT_DETACH))
	}
	// The kernel caches nothing, so every request reaches the disk.
	var never time.Duration
	server, err := fs.Mount(fmt.Sprintf("/dev/fd/%d", fd), root, &fs.Options{
		EntryTimeout: &never, AttrTimeout: &never, NegativeTimeout: &never,
		RootStableAttr: &fs.StableAttr{Ino: rootNumber},
		Logger:         log.New(os.Stderr, "fusetest: ", 0),
		MountOptions:   fuse.MountOptions{DisableReadDirPlus: true, DisableXAttrs: true},
	})
	if err != nil {
		return nil, errors.Join(err, syscall.Unmount(dir, syscall.MNT_DETACH))
	}
	return server, nil
}

// halt unmounts the disk of a machine on which nothing is running any more.
func (m *machine) halt() {
	m.t.Helper()
	m.release()
	var err error
	for range 200 { // the kernel closes a program's open files a moment after it has ended
		if err = syscall.Unmount(m.dir, 0); !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		m.t.Errorf("the disk stays mounted: %v", err)
		_ = syscall.Unmount(m.dir, syscall.MNT_DETACH)
	}
	m.server.Wait()
	m.server = nil
}

// release lets go of everyone who waits for an answer after the power was cut.
func (m *machine) release() {
	select {
	case <-m.released:
	default:
		close(m.released)
	}
}

// cutAt cuts the power at the n-th change from now.
func (m *machine) cutAt(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.CutAt(n)
}

// ends applies the end of a halted machine to its disk: a power cut, or a killed process
// on a machine that went on.
func (m *machine) ends(power bool, rng *rand.Rand) {
	survivals := []crash.Survival{crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths, crash.Some(rng)}
	survival := survivals[rng.IntN(len(survivals))]
	if power {
		m.disk.Restart(survival)
	} else {
		m.disk.Kill(survival)
	}
}

// suffer gives the disk the fault f, or none, and returns how often the previous fault
// struck.
func (m *machine) suffer(f *fault) (hits int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	hits, m.hits, m.fault = m.hits, 0, f
	return hits
}

// calm is how long nothing has been synced.
func (m *machine) calm() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.synced)
}

func (m *machine) isGone() bool {
	select {
	case <-m.gone:
		return true
	default:
		return false
	}
}

// do performs an operation on the disk. Once the power is off nobody is answered: the
// caller waits, and never hears the result.
func (m *machine) do(f func() error) syscall.Errno {
	m.mu.Lock()
	slow := m.fault.delay(m.rng)
	if slow > 0 {
		m.hits++
	}
	m.mu.Unlock()
	time.Sleep(slow)

	m.mu.Lock()
	err := f()
	off := m.disk.Off()
	if off && !m.off {
		m.off = true
		close(m.gone)
	}
	m.mu.Unlock()
	if off {
		<-m.released
		return syscall.EIO
	}
	return fs.ToErrno(err)
}

// ask is called by the disk before each operation.
func (m *machine) ask(op crash.Op) (keep int, err error) {
	if op.Kind == crash.Sync || op.Kind == crash.SyncDir {
		m.synced = time.Now()
	}
	keep, err = m.fault.strike(op, m.rng)
	if err != nil {
		m.hits++
	}
	return keep, err
}
