// Package python runs the Python parts of the examples for tests.
package python

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Find returns a Python that can import a module. If there is none, it skips the test
// with a notice; in CI that is a failure.
func Find(t testing.TB, module, debianPackage string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Python has no unix sockets on Windows")
	}
	// The first one on the PATH need not be that of the system, which has the system's modules.
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import sys, "+module+"; assert sys.version_info >= (3, 9)").Run() == nil {
			return python
		}
	}
	Missing(t, "Python 3.9 with the module "+module+" (in Debian: "+debianPackage+")")
	return ""
}

// Missing skips the test with a notice; in CI it fails.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("there is no %s", what)
	}
	t.Skipf("SKIPPED: there is no %s", what)
}

// Command returns a command that runs Python in a folder, with these folders on its path
// and further variables of the environment. It leaves nothing beside the sources.
func Command(t testing.TB, python, dir string, path, env []string, arguments ...string) *exec.Cmd {
	t.Helper()
	var folders []string
	for _, folder := range path {
		absolute, err := filepath.Abs(folder)
		require.NoError(t, err)
		folders = append(folders, absolute)
	}
	cmd := exec.CommandContext(t.Context(), python, arguments...)
	cmd.Dir = dir
	cmd.Env = append(Environment(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=default", "PYTHONPATH="+strings.Join(folders, string(os.PathListSeparator)))
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// Environment returns the environment without variables for sessions or Python.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc([]string{"SESSION_", "WADDLE", "PYTHON", "DJANGO_", "SHOP_"}, func(prefix string) bool { return strings.HasPrefix(v, prefix) })
	})
}

// Run runs a command. It fails the test with all that the command said, and reports what
// unittest skipped.
func Run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), "%s", &out)
	if strings.Contains(out.String(), "skipped=") {
		Missing(t, "way to run all of the tests: "+out.String())
	}
}

// Compile fails the test if a file in these folders is not Python.
func Compile(t testing.TB, python string, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		cmd := exec.CommandContext(t.Context(), python, "-W", "error", "-c", `
import pathlib, sys
files = sorted(pathlib.Path(sys.argv[1]).rglob("*.py"))
assert files
for file in files:
    compile(file.read_bytes(), str(file), "exec", dont_inherit=True)`, folder)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

// Waddle builds the command into a folder and returns the path of its file.
func Waddle(folder string) (string, error) {
	const module = "github.com/waddle-sessions/waddle"
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("the folder of %s: %w", module, err)
	}
	program := filepath.Join(folder, "waddle")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "./host/cmd/waddle")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
}
