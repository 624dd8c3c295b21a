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

// machine has a simulated disk, which is mounted while the machine is up. Whoever
// looks into the mount sees the disk's files, and what is asked of them is asked of
// the disk.
type machine struct {
	t   *testing.T
	dir string // where the disk is mounted

	mu    sync.Mutex // the disk is for one at a time
	disk  *crash.Disk
	rng   *rand.Rand
	fault *fault // what the disk suffers from, nil for nothing
	hits  int    // how often it did
	off   bool   // gone is closed

	synced time.Time // when something was synced last

	changed map[uint64]time.Time // when a file or directory was changed last, by its number

	gone     chan struct{} // closed when the power is
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

// boot mounts the disk. Without a way to mount it the test is skipped, but in CI a
// system that has FUSE has to let it be used.
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

// rootNumber is that of the disk's own directory.
const rootNumber = 1

var errNoFUSE = errors.New("a file system that fails needs FUSE, which is not here")

// mount does without the program fusermount. And it opens the device itself: a
// program that inherits the descriptor, as the server would if the package opened
// it, waits for ever for a file system that ended with its test.
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
	// Nothing is remembered by the kernel, so that all that is asked is asked of the disk.
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

// halt takes the disk out of a machine on which nothing runs any more.
func (m *machine) halt() {
	m.t.Helper()
	m.release()
	var err error
	for range 200 { // the kernel gives back what a program had open a moment after it has ended
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

// release lets go of everybody who waits for an answer after the power was cut.
func (m *machine) release() {
	select {
	case <-m.released:
	default:
		close(m.released)
	}
}

// cutAt lets the power go at the n-th change from here.
func (m *machine) cutAt(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk.CutAt(n)
}

// ends is the end of what the machine did, which has been halted: its power was cut, or
// the process was killed and the machine went on.
func (m *machine) ends(power bool, rng *rand.Rand) {
	survivals := []crash.Survival{crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths, crash.Some(rng)}
	survival := survivals[rng.IntN(len(survivals))]
	if power {
		m.disk.Restart(survival)
	} else {
		m.disk.Kill(survival)
	}
}

// suffer has the disk suffer from f, or from nothing, and returns how often it
// suffered from what it had before.
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

// do has the disk do something. Once the power is off nobody is answered: who asked
// waits, and never hears that it went.
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

// ask is asked by the disk before each operation.
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
