package main_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Ctrl-C is the normal end of "make run": no error message and no error status.
func TestMakeRunEndsWithCtrlC(t *testing.T) {
	m := makeRun(t)
	m.waitFor(t, "listening on http://")
	m.press(t, 0x03)
	m.ends(t)
}

// A user who waits for the first build is told why.
func TestMakeRunSaysThatItBuilds(t *testing.T) {
	m := makeRun(t)
	m.waitFor(t, "building")
	require.NotContains(t, m.screen.String(), "listening", "it says so before")
	m.waitFor(t, "listening on http://")
	m.press(t, 0x03)
	m.ends(t)
}

// Ctrl-Z must not leave behind a playground that nobody can reach.
func TestMakeRunIsNotLostByCtrlZ(t *testing.T) {
	m := makeRun(t)
	m.waitFor(t, "listening on http://")
	m.press(t, 0x1a)
	time.Sleep(200 * time.Millisecond)
	m.press(t, 0x03)
	m.ends(t)
}

// Without a terminal the signal also reaches make, which then ends by it, as its
// sender expects. The playground still ends properly.
func TestMakeRunWithoutTerminal(t *testing.T) {
	cmd := makeCommand(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	screen := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = screen, screen
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	waitFor(t, screen, "listening on http://")
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	err := cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, syscall.SIGINT, exit.Sys().(syscall.WaitStatus).Signal())
	require.Contains(t, screen.String(), "waddle: stopped")
	require.NotContains(t, screen.String(), "make: ***")
}

// made is a "make run" with its own terminal.
type made struct {
	cmd      *exec.Cmd
	terminal *os.File
	screen   *lockedBuffer
	read     chan struct{} // closed when all output is on the screen
}

// ends waits until it ends, without an error.
func (m *made) ends(t *testing.T) {
	t.Helper()
	err := m.cmd.Wait()
	select {
	case <-m.read:
	case <-time.After(patience):
		t.Error("somebody is left on the terminal")
	}
	require.NoError(t, err, "%s", m.screen)
	require.Contains(t, m.screen.String(), "waddle: stopped")
	require.NotContains(t, m.screen.String(), "make: ***")
}

func makeCommand(t *testing.T) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("SKIPPED: no make here")
	}
	cmd := exec.Command("make", "run")
	cmd.Dir = filepath.Join("..", "..", "..")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SESSION_") && !strings.HasPrefix(v, "WADDLE_") && !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "WADDLE_ADDR=127.0.0.1:0")
	return cmd
}

func makeRun(t *testing.T) *made {
	t.Helper()
	cmd := makeCommand(t)
	terminal, end := openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = end, end, end
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, end.Close())
	m := &made{cmd, terminal, new(lockedBuffer), make(chan struct{})}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = terminal.Close() // hangs up on any other process there
	})
	go func() {
		defer close(m.read)
		_, _ = io.Copy(m.screen, terminal) // fails when no process is on the terminal any more
	}()
	return m
}

// openTerminal returns both ends of a new pseudo-terminal.
func openTerminal(t *testing.T) (terminal, end *os.File) {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		t.Skip("SKIPPED: no pseudo-terminals here")
	}
	require.NoError(t, err)
	fd := int(terminal.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	end, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return terminal, end
}

// press types a key.
func (m *made) press(t *testing.T, key byte) {
	t.Helper()
	_, err := m.terminal.Write([]byte{key})
	require.NoError(t, err)
}

func (m *made) waitFor(t *testing.T, text string) {
	t.Helper()
	waitFor(t, m.screen, text)
}

func waitFor(t *testing.T, screen *lockedBuffer, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return bytes.Contains([]byte(screen.String()), []byte(text)) }, patience, 10*time.Millisecond, text)
}
