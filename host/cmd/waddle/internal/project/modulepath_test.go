package project

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGoPackagesAreAll: if a version of Go adds a package to its standard library,
// no module may have that name either.
func TestGoPackagesAreAll(t *testing.T) {
	out, err := exec.Command("go", "list", "std").Output()
	require.NoError(t, err)
	first := map[string]bool{"internal": true, "vendor": true} // nobody can import these
	for path := range strings.FieldsSeq(string(out)) {
		name, _, _ := strings.Cut(path, "/")
		if !first[name] && name != "go" {
			require.Contains(t, goPackages, name)
		}
		first[name] = true
	}
}

// TestModulePaths compares refused paths and their replacements with the go command
// itself.
func TestModulePaths(t *testing.T) {
	accepts := func(t *testing.T, path string) error {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+path+"\n\ngo 1.26\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
		for _, args := range [][]string{{"mod", "tidy"}, {"vet", "."}} {
			cmd := exec.Command("go", args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
			if out, err := cmd.CombinedOutput(); err != nil {
				return &exec.Error{Name: string(out), Err: err}
			}
		}
		return nil
	}
	for _, path := range []string{"go", "std", "cmd", "all", "tool", "toolchain", "time", "sync", "unsafe", "builtin", "net/store",
		"con", "nul.x", "example.com/aux/x", "example.com/x~1", "example.com/x.", "example.com/x/v1", "example.com/x/v0"} {
		t.Run(path, func(t *testing.T) {
			require.ErrorIs(t, checkModule(path), ErrOption)
			if testing.Short() {
				return
			}
			if path != "net/store" && path != "example.com/x/v0" && path != "example.com/x/v1" { // these work until somebody else imports them
				require.Error(t, accepts(t, path), "refused without need")
			}
			if name := strings.NewReplacer("/", "-", ".", "-", "~", "-").Replace(path); namePattern.MatchString(name) {
				require.NoError(t, accepts(t, moduleOf(name)))
			}
		})
	}
	for _, path := range []string{"kettle", "c", "main", "test", "func", "package", "type", "internal", "vendor", "golang",
		"example.com/me/store", "example.com/x/v2", "gopkg.in/x.v1", "example.com/go", "example.com/time", "com10"} {
		t.Run(path, func(t *testing.T) {
			require.NoError(t, checkModule(path))
			if !testing.Short() {
				require.NoError(t, accepts(t, path))
			}
		})
	}
}
