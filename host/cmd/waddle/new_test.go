package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkout is the path of this checkout.
const checkout = "../../.."

func TestNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my engine")
	r := run(t, nil, "new", "c", dir)
	require.Equal(t, 0, r.code, r.stderr)
	require.Empty(t, r.stderr)
	for _, says := range []string{"store.c", "waddle.h", "README.md", "  cd '" + dir + "'\n  make\n  waddle test store.wasm\n  waddle run store.wasm\n"} {
		require.Contains(t, r.stdout, says)
	}
	source, err := os.ReadFile(filepath.Join(dir, "store.c"))
	require.NoError(t, err)
	require.Contains(t, string(source), "my-engine", "it has the name of its directory")

	r = run(t, nil, "new", "c", dir)
	require.Equal(t, 2, r.code, "there is something already")
	require.Contains(t, lastLine(r), "not an empty directory")

	named := filepath.Join(t.TempDir(), "x")
	r = run(t, nil, "new", "zig", named, "--name", "fast", "--json")
	require.Equal(t, 0, r.code, r.stderr)
	made := object(t, r.stdout)
	require.Equal(t, named, made["directory"])
	require.Contains(t, made["files"], "store.zig")
	require.Equal(t, []any{"cd " + named, "make", "waddle test store.wasm", "waddle run store.wasm"}, made["commands"])
	source, err = os.ReadFile(filepath.Join(named, "store.zig"))
	require.NoError(t, err)
	require.Contains(t, string(source), "fast")
}

func TestNewRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"nothing", nil, "takes a language and a directory, got 0 arguments"},
		{"no directory", []string{"c"}, "languages are assemblyscript, c, go, rust, zig"},
		{"language", []string{"cobol", dir}, `"cobol": must be one of`},
		{"name", []string{"c", dir, "--name", "My Engine"}, `"My Engine"`},
		{"module of C", []string{"c", dir, "--module", "example.com/x"}, "only for Go"},
		{"word of Go", []string{"go", dir, "--module", "go"}, `"go" means something to the go command`},
		{"package of Go", []string{"go", dir, "--module", "sync/store"}, "standard library"},
		{"no checkout", []string{"go", dir, "--checkout", t.TempDir()}, "is not a checkout of Waddle"},
		{"no release", []string{"go", dir}, "--checkout DIR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, nil, append([]string{"new"}, c.args...)...)
			require.Equal(t, 2, r.code, "%s%s", r.stdout, r.stderr)
			require.Contains(t, lastLine(r), c.says)
			require.Empty(t, r.stdout)
			require.NoDirExists(t, dir)
		})
	}
}

// The printed commands make a plugin that passes. Only the quick part of the suite
// runs here; package project runs the rest.
func TestNewCommands(t *testing.T) {
	for _, c := range []struct {
		language string
		tools    []string
		args     []string
	}{
		{"c", []string{"clang-19", "wasm-ld-19", "make", "sh"}, nil},
		{"go", []string{"go", "make", "sh"}, []string{"--checkout", checkout}},
	} {
		t.Run(c.language, func(t *testing.T) {
			for _, tool := range c.tools {
				if _, err := exec.LookPath(tool); err != nil {
					t.Skipf("SKIPPED: no %s here", tool)
				}
			}
			dir := filepath.Join(t.TempDir(), "it's mine")
			r := run(t, nil, append([]string{"new", c.language, dir}, c.args...)...)
			require.Equal(t, 0, r.code, r.stderr)
			_, next, found := strings.Cut(r.stdout, "Next:\n")
			require.True(t, found)
			script, _, found := strings.Cut(next, "waddle run ")
			require.True(t, found)
			script = strings.Replace(script, "waddle test store.wasm", "waddle test store.wasm --only module,get,set,expiry", 1)
			cmd := command(t, nil)
			shell, err := exec.LookPath("sh")
			require.NoError(t, err)
			cmd.Path, cmd.Args = shell, []string{"sh", "-euc", script}
			cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "PASS: ")
		})
	}
}
