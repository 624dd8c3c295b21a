package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPowerCut: with durability at every commit no answered write is lost when the
// machine loses its power, nothing comes back torn, mixed or under another id, and
// no ended session returns. The files are on ext4. Each round starts from the disk
// as the last power cut left it. The power also fails while a server starts after a
// cut.
func TestPowerCut(t *testing.T) {
	for name := range engines {
		for _, options := range []string{
			"data=ordered",
			// Without ext4's help for programs that do not sync: names reach the disk
			// before the data they name.
			"data=writeback,noauto_da_alloc",
		} {
			t.Run(name+"/"+options, func(t *testing.T) {
				disk := newPoweredDisk(t, options)
				h := &harness{t: t, engine: name, durability: "commit", dir: filepath.Join(disk.dir, "sessions")}
				t.Cleanup(func() {
					if h.process != nil {
						h.kill()
					}
				})
				for i := range 12 {
					h.visitors = append(h.visitors, &visitor{name: fmt.Sprintf("visitor %d", i)})
				}
				n, _ := crashes(t)
				for round := range n {
					if round%2 == 1 {
						h.command()
						require.NoError(t, h.process.Start())
						time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
						disk.cut(h)
					}
					h.start(round)
					h.check()
					h.load(time.Duration(rand.IntN(120)+1)*time.Millisecond, func() { disk.cut(h) })
				}
				h.start(n)
				h.check()
				h.kill()
				require.Empty(t, h.stderr.String(), "the engine complains")
				require.Positive(t, h.answered, "no write was ever answered")
				t.Logf("%d power cuts, %d answered writes, %d in flight", n+n/2, h.answered, h.inFlight)
			})
		}
	}
}

// poweredDisk is a disk with ext4 that can lose its power.
//
// The disk is a file. The file holds what the disk was given, but not what the
// operating system has yet to write. The file is on a file system of its own, the
// shelf, which can be frozen: a freeze lets block writes that have begun end, and
// none begin. So a copy taken then shows one moment, and no sync that needs a block
// written ends after that moment. The disk itself forgets nothing: it has no
// volatile cache.
type poweredDisk struct {
	t       *testing.T
	options string

	dir   string // where the disk is mounted
	shelf string // the file system that the disk's file is on
	image string // the disk's file
	copy  string // the image after a cut

	frozen bool
}

func newPoweredDisk(t *testing.T, options string) *poweredDisk {
	t.Helper()
	memory := smallDisk(t, "256m")
	for _, program := range []string{"mkfs.ext4", "dumpe2fs", "fsfreeze", "cmp"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("a disk that loses its power needs %s: %v", program, err)
			}
			t.Skipf("SKIPPED: a disk that loses its power needs %s: %v", program, err)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("SKIPPED: a disk in a file needs loop devices: %v", err)
	}
	d := &poweredDisk{
		t: t, options: options,
		dir: t.TempDir(), shelf: t.TempDir(), copy: filepath.Join(memory, "copy"),
	}
	d.image = filepath.Join(d.shelf, "image")

	shelf := filepath.Join(memory, "shelf")
	require.NoError(t, makeExt4(shelf, 112<<20, "-O", "^has_journal"))
	if err := command("mount", "-o", "loop,noatime", shelf, d.shelf); err != nil {
		t.Skipf("SKIPPED: a disk in a file cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { unmount(t, d.shelf) })
	require.NoError(t, makeExt4(d.image, 64<<20))
	require.NoError(t, command("mount", "-o", "loop,"+options, d.image, d.dir))
	t.Cleanup(func() {
		_ = d.thaw() // unmounting needs this
		unmount(t, d.dir)
	})
	return d
}

// cut takes the power from the disk and the server at one moment, and then gives it
// back to the disk.
func (d *poweredDisk) cut(h *harness) {
	t := d.t
	d.frozen = true
	require.NoError(t, command("fsfreeze", "-f", d.shelf))
	require.NoError(t, command("cp", "--sparse=always", d.image, d.copy))
	time.Sleep(10 * time.Millisecond)
	require.NoError(t, command("cmp", d.image, d.copy), "the freeze does not hold the disk")
	// The server may be waiting for the disk and cannot end before it is thawed. It
	// can no longer answer anybody.
	_ = h.process.Process.Kill()
	require.NoError(t, d.thaw())
	_ = h.process.Wait()
	require.Empty(t, h.stderr.String(), "the engine complains")

	require.NoError(t, command("umount", d.dir))
	require.NoError(t, command("cp", "--sparse=always", d.copy, d.image))
	out, err := exec.Command("dumpe2fs", "-h", d.image).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "needs_recovery", "the disk was in use when its power was cut")
	require.NoError(t, command("mount", "-o", "loop,"+d.options, d.image, d.dir))
}

func (d *poweredDisk) thaw() error {
	if !d.frozen {
		return nil
	}
	d.frozen = false
	return command("fsfreeze", "-u", d.shelf)
}

func makeExt4(file string, size int64, options ...string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return command("mkfs.ext4", append(options, "-q", "-F", file)...)
}

// unmount also frees the loop device. The server killed last may take a moment to
// end.
func unmount(t *testing.T, dir string) {
	var err error
	for range 100 {
		if err = command("umount", dir); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%s stays mounted: %v", dir, err)
	_ = command("umount", "-l", dir)
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return nil
}
