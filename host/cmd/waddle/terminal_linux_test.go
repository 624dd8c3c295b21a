package main_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines"
	"golang.org/x/sys/unix"
)

// ofWidth opens a terminal of a width: what a person holds, and the end for a program.
func ofWidth(t *testing.T, columns uint16) (person, program *os.File) {
	t.Helper()
	person, program = openTerminal(t)
	t.Cleanup(func() {
		_ = person.Close()
		_ = program.Close()
	})
	require.NoError(t, unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	return person, program
}

// TestSessionsEndAsks: at a terminal a person is asked, and only "y" ends anything.
func TestSessionsEndAsks(t *testing.T) {
	k := keptIn{Settings: engines.Settings{Storage: "memory", Dir: filepath.Join(t.TempDir(), "d")}}
	k.fill(t, 4)
	for _, c := range []struct {
		answer string
		code   int
		says   string
	}{
		{"\n", 1, "waddle: nothing was ended"},
		{"no\n", 1, "waddle: nothing was ended"},
		{"y\n", 0, "1 session ended"},
	} {
		person, program := ofWidth(t, 80)
		cmd := command(t, nil, "sessions", "end", "--user", "user 3", "--dir", k.Dir)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
		require.NoError(t, cmd.Start())
		said := new(lockedBuffer)
		go func() { _, _ = io.Copy(said, person) }()
		require.Eventually(t, func() bool { return strings.Contains(said.String(), "[y/N]") }, patience, 5*time.Millisecond)
		require.Contains(t, said.String(), "End the 1 sessions of user 3?")
		_, err := io.WriteString(person, c.answer)
		require.NoError(t, err)
		_ = cmd.Wait()
		require.Equal(t, c.code, cmd.ProcessState.ExitCode(), said.String())
		require.Eventually(t, func() bool { return strings.Contains(said.String(), c.says) }, patience, 5*time.Millisecond, said.String())
	}
}

// TestMigrateShowsABar as wide as the terminal is.
func TestMigrateShowsABar(t *testing.T) {
	k := keptIn{Settings: engines.Settings{Storage: "memory", Dir: filepath.Join(t.TempDir(), "d")}}
	k.fill(t, 600)
	person, program := ofWidth(t, 60)
	cmd := command(t, nil, "migrate", "--from", k.Dir, "--to", "keyfolder:"+k.Dir+"2", "--json")
	out := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = out, program
	require.NoError(t, cmd.Start())
	said := new(lockedBuffer)
	go func() { _, _ = io.Copy(said, person) }()
	require.NoError(t, cmd.Wait())
	require.True(t, object(t, out.String())["done"].(bool), "what machines read is apart from it")
	require.Eventually(t, func() bool { return strings.Contains(said.String(), "\rmoving  ") }, patience, 5*time.Millisecond, "%q", said)
	require.Contains(t, said.String(), "/s")
	for frame := range strings.SplitSeq(said.String(), "\r") {
		require.Less(t, len([]rune(strings.TrimRight(frame, "\n"))), 60, "%q", frame)
	}
}
