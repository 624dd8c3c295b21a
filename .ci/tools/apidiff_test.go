package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// clone is a repository with two modules, like this one, that a test may tag and
// break. Checking the real modules each time would take minutes.
type clone struct {
	t   *testing.T
	dir string
}

func newClone(t *testing.T) clone {
	t.Helper()
	c := clone{t, t.TempDir()}
	c.do("git", "init", "-q")
	c.write("go.mod", "module "+rootModule+"\n\ngo 1.26.0\n")
	c.write("host/session/session.go", "package session\n\ntype Manager struct{}\n\nfunc (*Manager) Refuse() {}\n")
	c.write("host/session/key.go", "package session\n\nfunc NewKey() {}\n")
	c.write("host/otel/go.mod", "module "+rootModule+"/host/otel\n\ngo 1.26.0\n")
	c.write("host/otel/options.go", "package otel\n\nfunc WithAttributes() {}\n")
	changelog, err := os.ReadFile(filepath.Join(repository, "CHANGELOG.md"))
	require.NoError(t, err)
	c.write("CHANGELOG.md", string(changelog))
	c.commit()
	return c
}

func (c clone) write(name, text string) {
	c.t.Helper()
	require.NoError(c.t, os.MkdirAll(filepath.Dir(filepath.Join(c.dir, name)), 0o755))
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644))
}

func (c clone) commit() {
	c.do("git", "add", "-A")
	c.do("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "step")
}

func (c clone) do(name string, arguments ...string) {
	c.t.Helper()
	cmd := exec.Command(name, arguments...)
	cmd.Dir = c.dir
	out, err := cmd.CombinedOutput()
	require.NoError(c.t, err, "%s", out)
}

// change replaces text of a file.
func (c clone) change(name, from, to string) {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, name))
	require.NoError(c.t, err)
	require.Contains(c.t, string(data), from)
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, name), []byte(strings.Replace(string(data), from, to, 1)), 0o644))
}

func (c clone) apidiff() (said string, err error) {
	out, err := exec.Command(filepath.Join("..", "apidiff"), c.dir).CombinedOutput()
	return string(out), err
}

// Incompatible changes are reported, and allowed only if the version permits them
// and CHANGELOG.md names them.
func TestBreakingChangesOfTheAPI(t *testing.T) {
	c := newClone(t)
	said, err := c.apidiff()
	require.NoError(t, err, said)
	require.Equal(t, 2, strings.Count(said, "SKIPPED: the API of "), said)

	c.do("git", "tag", "v0.1.0")
	c.do("git", "tag", "host/otel/v0.1.0")
	c.write("host/session/added.go", "package session\n\nfunc Added() {}\n")
	said, err = c.apidiff()
	require.NoError(t, err, said)
	require.Equal(t, 2, strings.Count(said, "is compatible with"), said)

	c.change("host/session/key.go", "NewKey()", "NewKey(name string)")
	c.change("host/session/session.go", "Refuse()", "Deny()")
	c.change("host/otel/options.go", "WithAttributes()", "WithFixedAttributes()")
	said, err = c.apidiff()
	require.Error(t, err, said)
	require.Contains(t, said, "CHANGELOG.md does not name it under Unreleased: `session.NewKey`")
	require.Contains(t, said, "CHANGELOG.md does not name it under Unreleased: `session.Manager.Refuse`")
	require.Contains(t, said, "CHANGELOG.md does not name it under Unreleased: `WithAttributes`")

	// A name in a released part is not enough.
	c.change("CHANGELOG.md", "## Unreleased", "## Unreleased\n\n### Changed\n- `session.NewKey` takes a name, `session.Manager.Refuse` is gone.\n\n## v0.1.0\n- `WithAttributes`\n")
	said, err = c.apidiff()
	require.Error(t, err, said)
	require.NotContains(t, said, "under Unreleased: `session.NewKey`")
	require.NotContains(t, said, "Manager.Refuse`")
	require.Contains(t, said, "does not name it under Unreleased: `WithAttributes`")

	c.change("CHANGELOG.md", "### Changed\n", "### Changed\n- `WithAttributes` is gone.\n")
	said, err = c.apidiff()
	require.NoError(t, err, said)

	c.commit()
	c.do("git", "tag", "v1.0.0", "v0.1.0")
	c.do("git", "tag", "-d", "v0.1.0")
	said, err = c.apidiff()
	require.Error(t, err, said)
	require.Contains(t, said, "v1.0.0 promises that this does not happen")
}
