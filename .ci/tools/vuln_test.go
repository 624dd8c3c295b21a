package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vuln looks for vulnerabilities of a module in a database.
func vuln(t *testing.T, module, database string) (said string, err error) {
	t.Helper()
	cmd := exec.Command(filepath.Join("..", "vuln"), module)
	cmd.Env = append(os.Environ(), "GOVULNDB="+database, "VULN_ACCEPTED="+filepath.Join(module, "accepted"), "CI=true", "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// entries is a database of one made-up entry, which has no fix.
func entries(t *testing.T, module, versionFrom, pkg, symbol string) string {
	t.Helper()
	return entriesFixed(t, module, versionFrom, "", pkg, symbol)
}

// entriesFixed is entries with the version that has a fix.
func entriesFixed(t *testing.T, module, versionFrom, versionFixed, pkg, symbol string) string {
	t.Helper()
	fixed := ""
	if versionFixed != "" {
		fixed = `, {"fixed": "` + versionFixed + `"}`
	}
	dir := t.TempDir()
	text := `{"schema_version": "1.3.1", "id": "GO-2000-0001", "modified": "2000-01-01T00:00:00Z", "published": "2000-01-01T00:00:00Z",
"summary": "made up for a test", "details": "made up for a test",
"affected": [{"package": {"name": "MODULE", "ecosystem": "Go"},
 "ranges": [{"type": "SEMVER", "events": [{"introduced": "FROM"}FIXED]}],
 "ecosystem_specific": {"imports": [{"path": "PACKAGE", "symbols": ["SYMBOL"]}]}}],
"references": [], "database_specific": {"url": "https://pkg.go.dev/vuln/GO-2000-0001"}}`
	text = strings.NewReplacer("MODULE", module, "FROM", versionFrom, "FIXED", fixed, "PACKAGE", pkg, "SYMBOL", symbol).Replace(text)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "GO-2000-0001.json"), []byte(text), 0o644))
	return "file://" + dir
}

// An unavailable database, vulnerable code and code that cannot be checked are told
// apart.
func TestVulnerableIsNotWithoutADatabase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("accepted", "")
	write("go.mod", "module example.org/shop\n\ngo 1.26.0\n\nrequire golang.org/x/mod v0.43.0\n")
	write("main.go", `package main

import (
	"os"

	"golang.org/x/mod/semver"
)

func main() { println(semver.IsValid(os.Args[0])) }
`)
	for name, database := range map[string]string{
		"no folder": "file:///there/is/none", "nobody listens": "http://127.0.0.1:1", "no such host": "https://vuln.invalid",
	} {
		said, err := vuln(t, dir, database)
		require.NoError(t, err, "%s: %s", name, said)
		require.Contains(t, said, "SKIPPED: known vulnerabilities", name)
	}

	said, err := vuln(t, dir, entries(t, "golang.org/x/mod", "0", "golang.org/x/mod/semver", "IsValid"))
	require.Error(t, err, said)
	require.Contains(t, said, "VULNERABLE")
	require.Contains(t, said, "made up for a test")

	// Without a fix, one may be accepted for a folder; with one, it must be mended.
	write("accepted", dir+" GO-2000-0001 it cannot be reached\n")
	said, err = vuln(t, dir, entries(t, "golang.org/x/mod", "0", "golang.org/x/mod/semver", "IsValid"))
	require.NoError(t, err, said)
	require.Contains(t, said, "NOTICE: those in modules have no fix yet")
	said, err = vuln(t, dir, entriesFixed(t, "golang.org/x/mod", "0", "0.99.0", "golang.org/x/mod/semver", "IsValid"))
	require.Error(t, err, said)
	require.Contains(t, said, "VULNERABLE: "+dir+" calls GO-2000-0001")
	write("accepted", "elsewhere GO-2000-0001 it cannot be reached\n")
	said, err = vuln(t, dir, entries(t, "golang.org/x/mod", "0", "golang.org/x/mod/semver", "IsValid"))
	require.Error(t, err, said)

	said, err = vuln(t, dir, entries(t, "golang.org/x/mod", "0", "golang.org/x/mod/semver", "Sort"))
	require.NoError(t, err, said)
	require.Contains(t, said, "calls no known vulnerability")

	// Whoever builds a program chooses its Go version.
	said, err = vuln(t, dir, entries(t, "stdlib", "0", "os", "runtime_args"))
	require.NoError(t, err, said)
	require.Contains(t, said, "NOTICE: all of them are in the standard library of "+runtime.Version())

	write("broken.go", "package main\n\nfunc f() { g() }\n")
	said, err = vuln(t, dir, entries(t, "golang.org/x/mod", "0", "golang.org/x/mod/semver", "Sort"))
	require.Error(t, err, said)
	require.NotContains(t, said, "VULNERABLE")
	require.NotContains(t, said, "SKIPPED")
}
