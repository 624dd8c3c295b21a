package fiberstorage_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ofFiber are the tests that are run. Those of the limiter that are left out wait for
// many seconds each and use the storage in the same way.
const ofFiber = "^Test_(Storage_|Session|Store|CSRF|Limiter_Concurrency_Store|Limiter_Sliding_Window_Custom_Storage_No_Skip)"

// TestOfFiber runs fiber's own tests, of its storage and of the middleware that takes
// one, in a copy of the module that go.mod names. This storage is in the place of the one
// in fiber's memory.
func TestOfFiber(t *testing.T) {
	t.Parallel()
	found, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gofiber/fiber/v3").Output()
	module := strings.TrimSpace(string(found))
	if err != nil || module == "" {
		skip(t, "the go command does not find fiber's module")
	}
	dir := filepath.Join(t.TempDir(), "fiber")
	require.NoError(t, os.CopyFS(dir, os.DirFS(module)))
	own, err := os.Getwd()
	require.NoError(t, err)
	replaceFile(t, filepath.Join(dir, "internal", "storage", "memory", "memory.go"), read(t, "testdata", "upstream", "memory.go.txt"))

	mod := read(t, dir, "go.mod") +
		"\nrequire github.com/waddle-sessions/waddle/host/adapt/fiberstorage v0.1.0\n" +
		"replace github.com/waddle-sessions/waddle/host/adapt/fiberstorage => " + own + "\n" +
		"replace github.com/waddle-sessions/waddle => " + filepath.Join(own, "..", "..", "..") + "\n"
	replaceFile(t, filepath.Join(dir, "go.mod"), mod)
	replaceFile(t, filepath.Join(dir, "go.sum"), read(t, "go.sum")+read(t, dir, "go.sum"))

	command := exec.Command("go", "test", "-mod=mod", "-vet=off", "-count=1", "-v", "-timeout", "5m", "-run", ofFiber,
		"./internal/storage/memory", "./middleware/session", "./middleware/csrf", "./middleware/limiter")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	output, err := command.CombinedOutput()
	for line := range strings.Lines(string(output)) {
		if !strings.HasPrefix(line, "=== ") && !strings.Contains(line, "--- PASS") {
			t.Log(line)
		}
	}
	require.NoError(t, err)
	require.Greater(t, strings.Count(string(output), "--- PASS"), 100, "so many tests there are")
}

// skip skips a test that needs what a machine may lack; in CI that is a failure.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(content)
}

// replaceFile takes the place of a file that nobody may write to.
func replaceFile(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.Remove(name))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
}
