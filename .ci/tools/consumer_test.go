package tools

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// consumer is the project of somebody without a checkout.
type consumer struct {
	t   *testing.T
	dir string
	env []string
}

// newConsumer makes a project whose go command gets the tree's modules from a
// proxy, as version. It gets other modules from the module cache or from their
// usual source.
func newConsumer(t *testing.T, proxy string) *consumer {
	t.Helper()
	c := &consumer{t: t, dir: t.TempDir()}
	cache, usual := c.goEnv("GOMODCACHE"), c.goEnv("GOPROXY")
	proxies := []string{"file://" + filepath.ToSlash(proxy), "file://" + filepath.ToSlash(cache) + "/cache/download", usual}
	c.env = append(os.Environ(),
		"GOPROXY="+strings.Join(proxies, ","),
		// The project has a module cache of its own: this version must not stay in
		// the cache of whoever runs the test.
		"GOMODCACHE="+filepath.Join(t.TempDir(), "mod"), "GOFLAGS=-modcacherw", "GOWORK=off",
		"GOPRIVATE=", "GONOPROXY=", "GONOSUMDB="+rootModule+","+rootModule+"/*", "GOSUMDB="+sumDB(c.goEnv("GOSUMDB")),
		"GOBIN="+filepath.Join(c.dir, "bin"))
	c.do("go", "mod", "init", "example.org/shop")
	return c
}

// sumDB turns the checksum database off if it is off already or cannot be reached.
// Our go.sum has the modules that it would verify.
func sumDB(usual string) string {
	host, _, _ := strings.Cut(usual, " ")
	if conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, "443"), 3*time.Second); err == nil {
		_ = conn.Close()
		return usual
	}
	return "off"
}

func (c *consumer) goEnv(name string) string {
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(c.t, err)
	return strings.TrimSpace(string(out))
}

func (c *consumer) do(name string, arguments ...string) string {
	c.t.Helper()
	out, err := c.command(name, arguments...).CombinedOutput()
	require.NoError(c.t, err, "%s %s: %s", name, strings.Join(arguments, " "), out)
	return string(out)
}

func (c *consumer) command(name string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(name, arguments...)
	cmd.Dir, cmd.Env = c.dir, c.env
	return cmd
}

func (c *consumer) write(name, text string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644))
}

// Somebody fetches the modules, builds the first programs of README.md and of
// host/README.md, and sees them count.
func TestModulesWorkForWhoeverFetchesThem(t *testing.T) {
	c := newConsumer(t, publish(t))
	c.do("go", "get", rootModule+"@"+version)
	c.write("main.go", readmeProgram(t, "README.md"))
	c.do("go", "mod", "tidy")
	requireSmall(t, c)
	c.do("go", "vet", ".")
	c.counts(readmeProgram(t, "README.md"), nil)

	// The longer one ends well: it saves what is not saved yet.
	c.counts(readmeProgram(t, "host/README.md"), func(again func(want string)) { again("visit 3\n") })
}

// counts builds a server of sessions and sees it count visits. then may be nil; what it
// does runs after the server has ended well at SIGTERM and was started again.
func (c *consumer) counts(program string, then func(again func(want string))) {
	c.t.Helper()
	addr := freeAddress(c.t)
	path := filepath.Join(c.dir, "shop")
	c.write("main.go", strings.Replace(program, "127.0.0.1:8080", addr, 1))
	c.do("go", "build", "-o", path, ".")
	jar, err := cookiejar.New(nil)
	require.NoError(c.t, err)
	c.env = append(c.env, "SESSION_DIR="+c.t.TempDir())
	visit := func(want string) { require.Equal(c.t, want, get(c.t, jar, addr)) }
	err = c.serve(path, func() {
		visit("visit 1\n")
		visit("visit 2\n")
	})
	if then != nil {
		require.NoError(c.t, err)
		require.NoError(c.t, c.serve(path, func() { then(visit) }))
	}
}

// Fetching a module beside the root also fetches the root, in the version that the
// module requires.
func TestTelemetryIsFetchedByItself(t *testing.T) {
	c := newConsumer(t, publish(t))
	c.do("go", "get", rootModule+"/host/otel@"+version)
	c.write("main.go", `package main

import (
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/otel/pluginotel"
)

var _, _ = waddleotel.Store, pluginotel.Observe

func main() {}
`)
	c.do("go", "mod", "tidy")
	c.do("go", "vet", ".")
	list := c.do("go", "list", "-m", "all")
	require.Contains(t, list, rootModule+" "+version+"\n")
	require.Contains(t, list, rootModule+"/host/otel "+version+"\n")
}

// README.md explains how to install the command.
func TestCommandIsInstalledFromAnywhere(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	require.NoError(t, err)
	install := regexp.MustCompile(`go install (\S+)@latest`).FindSubmatch(readme)
	require.NotNil(t, install, "README.md explains how to install the command")

	c := newConsumer(t, publish(t))
	c.do("go", "install", string(install[1])+"@"+version)
	waddle := filepath.Join(c.dir, "bin", "waddle")
	require.Contains(t, c.do(waddle, "version"), "waddle "+version)
	c.do(waddle, "new", "c", "my-store")
	require.FileExists(t, filepath.Join(c.dir, "my-store", "Makefile"))

	// A project in Go requires the command's own release.
	c.do(waddle, "new", "go", "my-engine", "--module", "example.org/my-engine")
	c.dir = filepath.Join(c.dir, "my-engine")
	c.env = append(c.env, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	c.do("go", "mod", "tidy")
	c.do("go", "build", "-buildmode=c-shared", "-o", "engine.wasm", ".")
	require.FileExists(t, filepath.Join(c.dir, "engine.wasm"))
}

// readmeProgram returns the first Go code of a document as a whole program.
func readmeProgram(t *testing.T, document string) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(repository, document))
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, block)
	imports := []string{"context", "errors", "fmt", "log", "net/http", "os", "os/signal", "syscall", "time",
		rootModule + "/host/engines", rootModule + "/host/session", rootModule + "/host/store"}
	var text strings.Builder
	text.WriteString("package main\n\nimport (\n")
	for _, path := range imports {
		if strings.Contains(string(block[1]), path[strings.LastIndex(path, "/")+1:]+".") {
			fmt.Fprintf(&text, "\t%q\n", path)
		}
	}
	text.WriteString(")\n\n")
	text.Write(block[1])
	return text.String()
}

// requireSmall fails if importing sessions and an engine brings in modules that
// only our tests, examples or commands need.
func requireSmall(t *testing.T, c *consumer) {
	t.Helper()
	used := strings.Fields(c.do("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
	for _, path := range used {
		require.Contains(t, []string{"example.org/shop", rootModule, "github.com/tetratelabs/wazero", "github.com/fxamacker/cbor/v2",
			"github.com/x448/float16", "golang.org/x/sys", "golang.org/x/net"}, path)
	}
	for _, path := range strings.Fields(c.do("go", "list", "-m", "-f", "{{.Path}}", "all")) {
		require.NotContains(t, path, "opentelemetry")
		require.NotContains(t, path, "golang.org/x/vuln")
	}
}

// serve runs a program for as long as use takes, and then ends it by SIGTERM.
// It returns how the program ended.
func (c *consumer) serve(program string, use func()) error {
	c.t.Helper()
	if runtime.GOOS == "windows" {
		c.t.Skip("SKIPPED: there are no signals to send on Windows")
	}
	var log strings.Builder
	cmd := c.command(program)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(c.t, cmd.Start())
	c.t.Cleanup(func() { _ = cmd.Process.Kill() })
	use()
	require.NoError(c.t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, &log)
	}
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// get asks until the server listens.
func get(t *testing.T, jar http.CookieJar, addr string) string {
	t.Helper()
	client := http.Client{Jar: jar}
	var answer *http.Response
	require.Eventually(t, func() bool {
		var err error
		answer, err = client.Get("http://" + addr + "/")
		return err == nil
	}, 2*time.Minute, 50*time.Millisecond)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(body)
}
