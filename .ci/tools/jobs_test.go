package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// jobs runs .ci/jobs on a Makefile of the test's own.
func jobs(t *testing.T, makefile string, arguments ...string) (said string, err error) {
	t.Helper()
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("..", "jobs"))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".ci"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".ci", "jobs"), script, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o644))
	out, err := exec.Command(filepath.Join(dir, ".ci", "jobs"), arguments...).CombinedOutput()
	return string(out), err
}

// Every target is made, whichever fails, and all that failed are named at the end.
func TestJobsGoOnAfterAFailure(t *testing.T) {
	const makefile = `
.PHONY: host/a first host/b second
first host/b:; @echo $@ begins; sleep 0.1; echo $@ fails; false
host/a second:; @echo $@ begins; sleep 0.1; echo $@ ends; make inner || true
inner:; @false
`
	for _, number := range []string{"1", "2"} { // with three, host/b might fail first
		said, err := jobs(t, makefile, number, "host/a", "first", "host/b", "second")
		require.Error(t, err, said)
		for _, target := range []string{"host/a", "first", "host/b", "second"} {
			ends := " ends"
			if target == "first" || target == "host/b" {
				ends = " fails"
			}
			require.Contains(t, said, target+" begins\n"+target+ends, "the output of a target is in one piece")
		}
		_, failed, found := strings.Cut(said, "FAILED, see above:\n")
		require.True(t, found, said)
		require.Equal(t, "  make first\n  make host/b\n", failed)
	}
	said, err := jobs(t, makefile, "1", "host/a", "missing")
	require.Error(t, err, said)
	require.Regexp(t, "FAILED, see above:\n  No rule to make target .missing", said)
	said, err = jobs(t, makefile, "2", "host/a", "second")
	require.NoError(t, err, said)
	require.NotContains(t, said, "FAILED")
}

// makeVariable returns the words of a variable of the Makefile.
func makeVariable(t *testing.T, name string) []string {
	t.Helper()
	cmd := exec.Command("make", "--no-print-directory", "-f", "-", "print-variable")
	cmd.Dir, cmd.Stdin = repository, strings.NewReader("include Makefile\nprint-variable:; @echo $("+name+")\n")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

// The tests of every module, and of every package that test/others leaves out, are a
// job of "make test" and "make check".
func TestJobsLeaveNoTestOut(t *testing.T) {
	tests := makeVariable(t, "TESTS")
	require.Contains(t, tests, "test/others")
	modules := makeVariable(t, "MODULES")
	require.Contains(t, modules, ".")
	for _, dir := range slices.Concat(modules, makeVariable(t, "LONG")) {
		if dir != "." {
			require.Contains(t, tests, "test/"+dir)
		}
	}
	require.Subset(t, makeVariable(t, "CHECKS"), tests)
}
