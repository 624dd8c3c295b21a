// Package django_test runs the tests of the session engine for Django, which are in Python, and the
// servers of the example side by side.
package django_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/python"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// path is where Python finds the packages.
var path = []string{"../python", ".", "site"}

var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "django"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

var built = sync.OnceValues(func() (string, error) { return python.Waddle(folder) })

// waddle returns the path of the command.
func waddle(t *testing.T) string {
	t.Helper()
	program, err := built()
	require.NoError(t, err)
	return program
}

func django(t *testing.T) string {
	t.Helper()
	return python.Find(t, "django", "python3-django")
}

func TestCompiles(t *testing.T) {
	python.Compile(t, python.Find(t, "http.client", "python3"), "../python", ".")
}

func TestClient(t *testing.T) {
	t.Parallel()
	interpreter := python.Find(t, "http.client", "python3")
	ours, strangers := backend.NewCertificates(t), backend.NewCertificates(t)
	certificates := t.TempDir()
	for from, to := range map[string]string{
		ours.RootFile: "ca.pem", ours.ServerFile: "server.pem", ours.ServerKeyFile: "server.key", ours.ClientFile: "client.pem", ours.ClientKeyFile: "client.key",
		strangers.RootFile: "strangers.pem", strangers.ClientFile: "stranger.pem", strangers.ClientKeyFile: "stranger.key",
	} {
		require.NoError(t, os.Symlink(from, filepath.Join(certificates, to)))
	}
	env := []string{"WADDLE=" + waddle(t), "WADDLE_TEST_CERTIFICATES=" + certificates}
	python.Run(t, python.Command(t, interpreter, "../python", path[:1], env, "-m", "unittest", "discover", "-t", ".", "-s", "tests"))
}

func TestEngine(t *testing.T) {
	t.Parallel()
	env := []string{"WADDLE=" + waddle(t)}
	python.Run(t, python.Command(t, django(t), ".", path, env, "-m", "django", "test", "tests", "--settings", "tests.settings"))
}

// Django's own tests are not in its package for installation. Debian has them in the source that
// the package was built from.
func TestDjangosOwnTests(t *testing.T) {
	t.Parallel()
	interpreter := django(t)
	source := djangoSource(t, interpreter)
	env := []string{"WADDLE=" + waddle(t)}
	python.Run(t, python.Command(t, interpreter, ".", path[:2], env, "-m", "djangotests", source))
}

// djangoSource fetches the source of the Django that is installed, and unpacks its tests.
func djangoSource(t *testing.T, interpreter string) string {
	t.Helper()
	version, err := exec.Command(interpreter, "-c", "import django; print(django.get_version())").Output()
	require.NoError(t, err)
	source, err := exec.Command("dpkg-query", "--show", "--showformat", "${source:Package}=${source:Version}", "python3-django").Output()
	if err != nil {
		python.Missing(t, "source of Django's tests: it is not Debian's package: "+err.Error())
	}
	dir := t.TempDir()
	sources, lists, cache := filepath.Join(dir, "sources"), filepath.Join(dir, "lists"), filepath.Join(dir, "cache")
	for _, folder := range []string{sources, filepath.Join(lists, "partial"), cache} {
		require.NoError(t, os.MkdirAll(folder, 0o755))
	}
	require.NoError(t, sourcesOfSources(sources))
	// The system's own lists stay as they are.
	options := []string{
		"-qq", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=" + sources, "-o", "Dir::State::lists=" + lists, "-o", "Dir::Cache=" + cache,
		"-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30",
	}
	var said strings.Builder
	for _, arguments := range [][]string{{"update"}, {"source", "--download-only", string(source)}} {
		cmd := exec.CommandContext(t.Context(), "apt-get", append(options, arguments...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		fmt.Fprintf(&said, "apt-get %v: %v\n%s", arguments, err, out)
	}
	// A mirror may lack the newest part of Debian's own, which is not needed.
	archives, err := filepath.Glob(filepath.Join(dir, "*_"+strings.TrimSpace(string(version))+".orig.tar.*"))
	require.NoError(t, err)
	if len(archives) == 0 {
		python.Missing(t, "source of Django "+strings.TrimSpace(string(version))+" to be had:\n"+said.String())
	}
	unpacked := filepath.Join(dir, "django")
	require.NoError(t, os.Mkdir(unpacked, 0o755))
	out, err := exec.Command("tar", "--extract", "--file", archives[0], "--directory", unpacked, "--strip-components=1", "--wildcards", "*/tests/*").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return unpacked
}

// sourcesOfSources writes the system's list of package archives as one of archives of sources.
func sourcesOfSources(to string) error {
	var files []string
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var lines []string
		for line := range strings.Lines(string(data)) {
			switch {
			case strings.HasPrefix(line, "Types:"):
				line = "Types: deb-src\n"
			case strings.HasPrefix(line, "deb "), strings.HasPrefix(line, "deb\t"):
				line = "deb-src" + line[len("deb"):]
			case strings.HasPrefix(line, "deb-src"):
				continue
			}
			lines = append(lines, line)
		}
		name := filepath.Base(file)
		if name == "sources.list" {
			name = "main.list"
		}
		if err := os.WriteFile(filepath.Join(to, name), []byte(strings.Join(lines, "")), 0o644); err != nil {
			return err
		}
	}
	return nil
}
