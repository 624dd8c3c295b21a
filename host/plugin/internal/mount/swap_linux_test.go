package mount_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sysfs"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

func init() {
	helpers["swap"] = swap
	helpers["carry"] = carry
}

// swap exchanges "dir" and "link", and "dir/target" and "link2", in one step
// each, for ever: half of the time "dir" is a symbolic link.
func swap(inside string) {
	exchange := func(a, b string) {
		const atFdCwd, renameExchange = -100, 2
		p, _ := syscall.BytePtrFromString(inside + a)
		q, _ := syscall.BytePtrFromString(inside + b)
		at := atFdCwd
		_, _, code := syscall.Syscall6(sysRenameat2, uintptr(at), uintptr(unsafe.Pointer(p)), uintptr(at), uintptr(unsafe.Pointer(q)), renameExchange, 0)
		if code != 0 && code != syscall.ENOENT && code != syscall.ENOTDIR {
			panic(code)
		}
	}
	os.Stdout.WriteString("ready\n")
	for i := 0; ; i++ {
		exchange("/dir", "/link")
		exchange("/dir", "/link")
		if i%4 == 0 {
			exchange("/dir/target", "/link2")
			exchange("/dir/target", "/link2")
		}
	}
}

// carry moves "dir" out and puts a link in its place, and back, for ever.
func carry(inside string) {
	os.Stdout.WriteString("ready\n")
	for {
		_ = os.Rename(inside+"/dir", inside+"/../carried")
		_ = os.Symlink("../outside", inside+"/dir")
		_ = os.Remove(inside + "/dir")
		_ = os.Rename(inside+"/../carried", inside+"/dir")
	}
}

func start(t *testing.T, helper, dir string) {
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), helperVariable+"="+helper)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
}

// storms lets the guest try for some time, and returns how many of its writes
// worked, wherever they went.
func storms(t *testing.T, r wazero.Runtime, config wazero.FSConfig, d time.Duration) (worked uint64) {
	mod := instantiate(t, r, stormWasm, config)
	storm := mod.ExportedFunction("storm")
	for end := time.Now().Add(d); time.Now().Before(end); {
		results, err := storm.Call(context.Background(), 100)
		require.NoError(t, err)
		worked += results[0]
	}
	return worked
}

func TestAnotherProcessSwapsDirectories(t *testing.T) {
	for _, helper := range []string{"swap", "carry"} {
		t.Run(helper, func(t *testing.T) {
			inside, outside := house(t)
			require.NoError(t, os.WriteFile(inside+"/dir/target", []byte("inside"), 0o600))
			require.NoError(t, os.Symlink("../outside", inside+"/link"))
			require.NoError(t, os.Symlink("../outside/secret", inside+"/link2"))
			m, err := mount.Open(inside, mount.Options{MaxBytes: 1 << 20, MaxFiles: 100})
			require.NoError(t, err)
			defer m.Close()
			start(t, helper, inside)
			r := newRuntime(t, nil)
			worked := storms(t, r, m.Config(wazero.NewFSConfig(), "/"), 1500*time.Millisecond)
			require.NotZero(t, worked, "the guest never wrote anything, so that nothing was tried")
			require.Zero(t, m.Usage().Open)
			untouched(t, outside)
			t.Logf("%d writes of the guest went inside", worked)

			// The same through a mount that follows links does get out, or the
			// test would prove nothing.
			storms(t, r, wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(sysfs.DirFS(inside), "/"), 500*time.Millisecond)
			text, err := os.ReadFile(outside + "/target")
			require.NoError(t, err)
			require.Contains(t, string(text), "FROM THE GUEST")
		})
	}
}
