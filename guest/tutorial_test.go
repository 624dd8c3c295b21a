package guest_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/internal/transcript"
)

// stepLimit bounds the time of one command of the tutorial. Nothing is measured
// by it.
const stepLimit = 10 * time.Minute

// TestTutorial does what README.md says, in a temporary directory, and compares
// the output; package transcript says how. It departs from the page in three
// ways:
//
//   - The checkout that is cloned there is a link to this one.
//   - The address of the server is a free one.
//   - Lines in which go reports downloads are left out.
func TestTutorial(t *testing.T) {
	if testing.Short() {
		t.Skip("builds modules and runs the whole suite")
	}
	for _, tool := range []string{"bash", "make", "curl", "go"} {
		if _, err := exec.LookPath(tool); err != nil || runtime.GOOS == "windows" {
			if os.Getenv("CI") == "true" {
				t.Fatalf("the tutorial needs %s, which is missing here", tool)
			}
			t.Skipf("SKIPPED: the tutorial needs %s, as on Unix, which is missing here", tool)
		}
	}
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	steps, err := transcript.Parse(string(page))
	require.NoError(t, err)
	require.NotEmpty(t, steps)

	checkout, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(checkout, filepath.Join(dir, "waddle")))
	shell, err := transcript.NewShell(dir, tutorialEnv(t, filepath.Join(dir, "bin")))
	require.NoError(t, err)
	defer func() {
		_, _, _ = shell.Run("kill $(jobs -p); wait", time.Minute) // whatever a failure has left running
		_ = shell.Close()
	}()
	address := freeAddress(t)
	here := func(s string) string { return strings.ReplaceAll(s, "127.0.0.1:8080", address) }

	for _, step := range steps {
		if step.File != "" {
			writeStep(t, shell, step, here)
			continue
		}
		output, code, err := shell.Run(here(step.Command), stepLimit)
		require.NoError(t, err, "README.md:%d", step.Line)
		if code != 0 && !step.MayFail { // later steps would make no sense
			t.Fatalf("README.md:%d: %s\nended with %d, want 0:\n%s", step.Line, step.Command, code, output)
		}
		if code == 0 && step.MayFail {
			t.Fatalf("README.md:%d: %s\nended with 0, although it should fail:\n%s", step.Line, step.Command, output)
		}
		for i := range step.Want {
			step.Want[i] = here(step.Want[i])
		}
		if err := transcript.Match(step.Want, withoutWaiting(output)); err != nil {
			t.Errorf("README.md:%d: %s\n%v", step.Line, step.Command, err)
		}
	}
}

// writeStep writes or changes a file of the page, in the directory that the shell
// is in.
func writeStep(t *testing.T, shell *transcript.Shell, step transcript.Step, here func(string) string) {
	t.Helper()
	dir, _, err := shell.Run("pwd", time.Minute)
	require.NoError(t, err)
	name := filepath.Join(strings.TrimSpace(dir), step.File)
	content := here(step.Content)
	if step.Change {
		old, err := os.ReadFile(name)
		require.NoError(t, err, "README.md:%d", step.Line)
		content, err = transcript.Change(string(old), content)
		require.NoError(t, err, "README.md:%d: %s", step.Line, step.File)
	}
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
}

// tutorialEnv is the environment of somebody who has Go and nothing else: no
// settings, and an empty home. What go has already downloaded and built is found
// again.
func tutorialEnv(t *testing.T, bin string) []string {
	t.Helper()
	env := []string{"HOME=" + t.TempDir(), "GOBIN=" + bin, "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")}
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOPRIVATE", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	require.NoError(t, err)
	for i, value := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
		if value != "" {
			env = append(env, names[i]+"="+value)
		}
	}
	for _, name := range []string{"TMPDIR", "GOMAXPROCS", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// withoutWaiting leaves out the lines that say why a command takes long, which depend
// on what is on the machine and how fast it is.
func withoutWaiting(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "go: downloading ") && !strings.Contains(line, "; the first start compiles it, ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
