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
	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
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

// storms lets the guest try for some time, and longer until done is satisfied.
// done is given how many of the guest's writes worked, wherever they went.
func storms(t *testing.T, r wazero.Runtime, config wazero.FSConfig, d time.Duration, done func(worked uint64) bool) {
	mod := instantiate(t, r, stormWasm, config)
	storm := mod.ExportedFunction("storm")
	worked := uint64(0)
	for begin := time.Now(); time.Since(begin) < d || !done(worked); {
		results, err := storm.Call(context.Background(), 100)
		require.NoError(t, err)
		worked += results[0]
		require.Less(t, time.Since(begin), time.Minute, "the guest never got anywhere, so nothing was tried")
	}
	t.Logf("%d writes of the guest worked", worked)
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
			storms(t, r, wasi.Mount(wazero.NewFSConfig(), m, "/"), 1500*time.Millisecond, func(worked uint64) bool { return worked > 50 })
			require.Zero(t, m.Usage().Open)
			untouched(t, outside)

			// A mount that follows links does let the guest out, or the test
			// would prove nothing.
			config := wazero.NewFSConfig().(sysfs.FSConfig).WithSysFSMount(sysfs.DirFS(inside), "/")
			storms(t, r, config, 0, func(uint64) bool {
				text, err := os.ReadFile(outside + "/target")
				require.NoError(t, err)
				return string(text) != "outside"
			})
		})
	}
}
