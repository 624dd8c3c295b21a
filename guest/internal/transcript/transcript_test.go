package transcript_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/internal/transcript"
)

func TestParse(t *testing.T) {
	page := strings.ReplaceAll(`# A page
'''go main.go
package main
'''
'''
left alone
'''
'''console
$ go run . \
    -x
one

two
$ false
$ echo $?
1
'''
'''diff main.go
-package main
+package other
'''
'''sh
go install nothing
'''
`, "'''", "```")
	steps, err := transcript.Parse(page)
	require.NoError(t, err)
	require.Equal(t, []transcript.Step{
		{Line: 2, File: "main.go", Content: "package main\n"},
		{Line: 9, Command: "go run . \\\n    -x", Want: []string{"one", "", "two"}},
		{Line: 14, Command: "false", MayFail: true},
		{Line: 15, Command: "echo $?", Want: []string{"1"}},
		{Line: 18, File: "main.go", Change: true, Content: "-package main\n+package other\n"},
	}, steps)

	for page, message := range map[string]string{
		"'''console\n$ ls":           "line 1: a block that does not end",
		"\n'''console\nls\n'''":      "line 3: output before the first command of a block",
		"'''console\n$ ls \\\n'''":   "line 1: the block ends within a continued command",
		"'''diff\n-a\n+b\n'''":       "line 1: a change without the name of a file",
		"'''\nx\n'''\n'''go a.go\nx": "line 4: a block that does not end",
	} {
		_, err := transcript.Parse(strings.ReplaceAll(page, "'''", "```"))
		require.EqualError(t, err, message)
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"", "", true}, {"", "x", false}, {"x", "", false},
		{"a\nb", "a\nb\n", true}, {"a\nb", "a  \nb\n\n", true}, {"a\nb", "a", false}, {"a", "a\nb", false}, {"a", "xa", false},
		{"ok  … s", "ok  12 s", true}, {"ok … s", "ok s", false}, {"ok … s", "no 12 s", false}, {"took …", "took\nlong", false},
		{"a\n…\nz", "a\nz", true}, {"a\n…\nz", "a\nb\n\nc\nz", true}, {"a\n…\nz", "a\nb", false}, {"…", "anything\nat all", true},
		{"(.*)", "(.*)", true}, {"(.*)", "text", false}, {"…x…", "axb", true},
	} {
		err := transcript.Match(strings.Split(c.want, "\n"), c.got)
		require.Equal(t, c.ok, err == nil, "%q and %q: %v", c.want, c.got, err)
	}
	require.EqualError(t, transcript.Match([]string{"a"}, "b\n"), "the page says:\n\ta\nbut the command printed:\n\tb")
}

func TestChange(t *testing.T) {
	const content = "a\n\tb\n\nc\na\n"
	for _, c := range []struct{ change, want, message string }{
		{"-\tb\n+\tB\n", "a\n\tB\n\nc\na\n", ""},
		{" a\n-\tb\n+x\n+y\n\n c\n", "a\nx\ny\n\nc\na\n", ""},
		{"-\tb\n-\n", "a\nc\na\n", ""},
		{"-a\n+z\n", "", "these lines appear 2 times in the file: must appear once:\na\n"},
		{"-d\n+z\n", "", "these lines appear 0 times in the file: must appear once:\nd\n"},
		{"+z\n", "", "a change that does not say where"},
		{"@@ 1\n", "", `the line "@@ 1" of a change begins with none of space, - and +`},
	} {
		got, err := transcript.Change(content, c.change)
		if c.message != "" {
			require.EqualError(t, err, c.message)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

func TestShell(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("there is no bash, or none with the pipes that this test needs")
	}
	s, err := transcript.NewShell(t.TempDir(), append(os.Environ(), "FRUIT=pear"))
	require.NoError(t, err)
	for _, c := range []struct {
		command, output string
		code            int
	}{
		{"echo $FRUIT; FRUIT=plum", "pear\n", 0},
		{"echo $FRUIT >&2", "plum\n", 0},
		{"printf unended", "unended", 0},
		{"mkdir a && cd a", "", 0},
		{"basename $PWD", "a\n", 0},
		{"(exit 7)", "", 7},
		{"echo $?", "7\n", 0},
		{"cat", "", 0},
		{"echo one \\\n  two", "one two\n", 0},
		{"sleep 1000 &", "", 0},
		{"kill %1", "", 0},
		{"cat <<X\nin\nX", "in\n", 0},
	} {
		output, code, err := s.Run(c.command, time.Minute)
		require.NoError(t, err)
		require.Equal(t, c.output, output, c.command)
		require.Equal(t, c.code, code, c.command)
	}
	_, _, err = s.Run("echo begun; sleep 2", 200*time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorContains(t, err, "begun")
	require.NoError(t, s.Close())
}
