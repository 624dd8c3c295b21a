package dirlock_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/dirlock"
)

// A separate process holds a lock: this binary again.
const helperVariable = "WADDLE_DIRLOCK_TEST_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperVariable); dir != "" {
		if _, err := dirlock.Acquire(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func holder(t *testing.T, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)
	return cmd
}

func TestAnotherProcessHoldsTheLock(t *testing.T) {
	dir := t.TempDir()
	for range 3 { // the next holder must not be confused with the dead one
		began := time.Now().Add(-2 * time.Second)
		cmd := holder(t, dir)
		_, err := dirlock.Acquire(dir)
		require.ErrorIs(t, err, dirlock.ErrInUse)
		var inUse *dirlock.InUseError
		require.ErrorAs(t, err, &inUse)
		require.Equal(t, dir, inUse.Dir)
		require.Equal(t, cmd.Process.Pid, inUse.PID)
		host, err2 := os.Hostname()
		require.NoError(t, err2)
		require.Equal(t, host, inUse.Host)
		require.WithinRange(t, inUse.Since, began, time.Now())
		require.ErrorContains(t, err, fmt.Sprintf("directory %s is in use by process %d on ", dir, cmd.Process.Pid))

		// The lock ends with the process, which had no chance to clean up.
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		lock, err := dirlock.Acquire(dir)
		require.NoError(t, err)
		require.NoError(t, lock.Close())
	}
}

func TestTheSameProcessHoldsTheLock(t *testing.T) {
	dir := t.TempDir()
	lock, err := dirlock.Acquire(dir)
	require.NoError(t, err)
	require.Equal(t, dir, lock.Dir())
	_, err = dirlock.Acquire(dir)
	var inUse *dirlock.InUseError
	require.ErrorAs(t, err, &inUse)
	require.Equal(t, os.Getpid(), inUse.PID)
	other, err := dirlock.Acquire(t.TempDir())
	require.NoError(t, err, "another directory")
	require.NoError(t, other.Close())
	require.NoError(t, lock.Close())
	require.NoError(t, lock.Close())
	text, err := os.ReadFile(filepath.Join(dir, dirlock.FileName))
	require.NoError(t, err)
	require.Empty(t, text)
	lock, err = dirlock.Acquire(dir)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
}

// The text only says who holds the lock. It does not lock, and unreadable text
// does not suppress the error.
func TestTextOfTheFile(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	long := strings.Repeat("x", 2000)
	for _, text := range []string{"", "1\n", "x\ny\nz\n", "0\nh\n2026-01-02T03:04:05Z\n", "-5\nh\n2026-01-02T03:04:05Z\n", long,
		// No process has this number: it is above the largest.
		"1073741824\n" + host + "\n2026-01-02T03:04:05Z\n"} {
		dir := t.TempDir()
		path := filepath.Join(dir, dirlock.FileName)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		lock, err := dirlock.Acquire(dir)
		require.NoError(t, err, text)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err = dirlock.Acquire(dir)
		var inUse *dirlock.InUseError
		require.ErrorAs(t, err, &inUse, text)
		require.Zero(t, inUse.PID, text)
		require.ErrorContains(t, err, "in use by another process")
		require.NoError(t, os.WriteFile(path, []byte("7\nelsewhere\n2026-01-02T03:04:05Z\n"), 0o600))
		_, err = dirlock.Acquire(dir)
		require.ErrorContains(t, err, "in use by process 7 on elsewhere since 2026-01-02T03:04:05Z")
		require.NoError(t, lock.Close())
	}
}

func TestWhatCannotBeLocked(t *testing.T) {
	dir := t.TempDir()
	_, err := dirlock.Acquire(dir + "/none")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(dir+"/f", nil, 0o600))
	_, err = dirlock.Acquire(dir + "/f")
	require.ErrorContains(t, err, "not a directory")

	require.NoError(t, os.Mkdir(dir+"/"+dirlock.FileName, 0o700))
	_, err = dirlock.Acquire(dir)
	require.ErrorContains(t, err, "not a regular file")
	require.NotErrorIs(t, err, dirlock.ErrInUse)
	require.NoError(t, os.Remove(dir+"/"+dirlock.FileName))

	if runtime.GOOS == "windows" {
		return
	}
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("outside"), 0o600))
	require.NoError(t, os.Symlink(outside, dir+"/"+dirlock.FileName))
	_, err = dirlock.Acquire(dir)
	require.ErrorContains(t, err, "not a regular file")
	text, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "outside", string(text))
}

// However many try at once, and although somebody keeps removing the file, at
// most one lock in the directory is held.
func TestOnlyOneHolds(t *testing.T) {
	dir := t.TempDir()
	var held, acquired, refused atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				lock, err := dirlock.Acquire(dir)
				if err != nil {
					if !errors.Is(err, dirlock.ErrInUse) {
						t.Error(err)
					}
					refused.Add(1)
					continue
				}
				if held.Add(1) > 1 {
					t.Error("two hold the lock")
				}
				acquired.Add(1)
				runtime.Gosched()
				held.Add(-1)
				if err := lock.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.NotZero(t, acquired.Load())
	require.NotZero(t, refused.Load())
}
