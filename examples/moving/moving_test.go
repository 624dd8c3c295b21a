package moving_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// library is one that programs move from. A state is what a program's arguments say
// about where sessions are.
type library struct {
	name   string
	states []state
}

type state struct {
	name     string
	before   func(t *testing.T, dir string) *exec.Cmd
	after    func(t *testing.T, dir string) *exec.Cmd
	isolated bool // the sessions end with the program before, so none are in flight
}

// goState runs both programs with or without an engine.
func goState(library, name string, engine, isolated bool) state {
	program := func(which string) func(t *testing.T, dir string) *exec.Cmd {
		return func(t *testing.T, dir string) *exec.Cmd {
			arguments := []string{"-addr", "127.0.0.1:0"}
			if engine {
				arguments = append(arguments, "-dir", filepath.Join(dir, "engine"))
			}
			return exec.Command(build(t, library+"/"+which), arguments...)
		}
	}
	return state{name: name, before: program("before"), after: program("after"), isolated: isolated}
}

var libraries = []library{
	{"scs", []state{
		goState("scs", "in memory", false, true),
		goState("scs", "in an engine", true, false),
	}},
	{"gorilla", []state{
		goState("gorilla", "in cookies", false, false),
		goState("gorilla", "in an engine", true, false),
	}},
	{"gincontrib", []state{
		goState("gincontrib", "in cookies", false, false),
		goState("gincontrib", "in an engine", true, false),
	}},
	{"fiber", []state{
		goState("fiber", "in memory", false, true),
		goState("fiber", "in an engine", true, false),
	}},
	{"express", []state{{
		name: "in files",
		before: func(t *testing.T, dir string) *exec.Cmd {
			cmd := exec.Command("node", "shop.js", "-addr", "127.0.0.1:0", "-files", filepath.Join(dir, "sessions"))
			cmd.Dir = express(t)
			return cmd
		},
		after: func(t *testing.T, dir string) *exec.Cmd {
			return exec.Command(build(t, "express/after"), "-addr", "127.0.0.1:0", "-files", filepath.Join(dir, "sessions"))
		},
	}}},
}

func overStates(t *testing.T, wanted func(s state) bool, test func(t *testing.T, s state)) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: there are no signals to send on Windows")
	}
	for _, l := range libraries {
		for _, s := range l.states {
			if !wanted(s) {
				continue
			}
			t.Run(l.name+" "+s.name, func(t *testing.T) {
				t.Parallel()
				test(t, s)
			})
		}
	}
}

// TestBeforeAndAfter: the same client gets the same answers from both programs.
func TestBeforeAndAfter(t *testing.T) {
	overStates(t, func(state) bool { return true }, func(t *testing.T, s state) {
		for name, program := range map[string]func(*testing.T, string) *exec.Cmd{"before": s.before, "after": s.after} {
			server := start(t, program(t, t.TempDir()))
			v, stranger := server.visitor(t), server.visitor(t)
			require.Equal(t, "nobody has nothing. ", v.page(), name)
			v.post("/cart?item=tea")
			require.Equal(t, "nobody has tea. Added tea.", v.page(), name)
			v.post("/log-in?user=ada")
			require.Equal(t, "ada has tea. ", v.page(), name)
			v.post("/cart?item=milk")
			require.Equal(t, "ada has tea and milk. Added milk.", v.page(), name)
			require.Equal(t, "ada has tea and milk. ", v.page(), name)
			require.Equal(t, "nobody has nothing. ", stranger.page(), name)
			v.post("/log-out")
			require.Equal(t, "nobody has nothing. ", v.page(), name)
			server.stop()
		}
	})
}

// TestSessionsInFlight: sessions that began on the program before go on on the one
// after it, and end there for good.
func TestSessionsInFlight(t *testing.T) {
	overStates(t, func(s state) bool { return !s.isolated }, func(t *testing.T, s state) {
		dir := t.TempDir()
		server := start(t, s.before(t, dir))
		ada, guest := server.visitor(t), server.visitor(t)
		ada.post("/cart?item=tea")
		require.Equal(t, "nobody has tea. Added tea.", ada.page())
		ada.post("/log-in?user=ada")
		ada.post("/cart?item=milk") // the message of this is still to be shown
		guest.post("/cart?item=bread")
		server.stop()

		server = start(t, s.after(t, dir))
		ada.url, guest.url = server.url, server.url
		stolen := *ada
		stolen.client = &http.Client{Jar: ada.copiedJar()}
		require.Equal(t, "ada has tea and milk. Added milk.", ada.page())
		require.Equal(t, "ada has tea and milk. ", ada.page())
		ada.post("/cart?item=salt")
		require.Equal(t, "ada has tea and milk and salt. Added salt.", ada.page())
		require.Equal(t, "nobody has bread. Added bread.", guest.page())
		ada.post("/log-out")
		require.Equal(t, "nobody has nothing. ", ada.page())
		require.Equal(t, "nobody has nothing. ", stolen.page(), "the old cookie, after the log-out")
		server.stop()
	})
}

// server is a program under test.
type server struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
	log *strings.Builder
	end chan struct{}
}

var listening = regexp.MustCompile(`listening on (http://\S+)/`)

func start(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd, log: new(strings.Builder), end: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	for s.url == "" {
		line, err := lines.ReadString('\n')
		s.log.WriteString(line)
		require.NoError(t, err, "it ended before it listened: %s", s.log)
		if found := listening.FindStringSubmatch(line); found != nil {
			s.url = found[1]
		}
	}
	go func() {
		defer close(s.end)
		_, _ = io.Copy(s.log, lines)
	}()
	return s
}

// stop ends the program as an operator does, and fails unless it ends in order.
func (s *server) stop() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.end
	require.NoError(s.t, s.cmd.Wait(), "%s", s.log)
}

// visitor is a browser, whose cookies belong to the address without its port.
type visitor struct {
	t      *testing.T
	url    string
	client *http.Client
}

func (s *server) visitor(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t, s.url, &http.Client{Jar: jar}}
}

func (v *visitor) copiedJar() http.CookieJar {
	jar, err := cookiejar.New(nil)
	require.NoError(v.t, err)
	r, err := http.NewRequest(http.MethodGet, v.url, nil)
	require.NoError(v.t, err)
	jar.SetCookies(r.URL, v.client.Jar.Cookies(r.URL))
	return jar
}

func (v *visitor) send(method, path string) string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, nil)
	require.NoError(v.t, err)
	resp, err := v.client.Do(r)
	require.NoError(v.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	require.Equal(v.t, http.StatusOK, resp.StatusCode, "%s %s: %s", method, path, body)
	return string(body)
}

func (v *visitor) page() string     { return v.send(http.MethodGet, "/") }
func (v *visitor) post(path string) { v.t.Helper(); v.send(http.MethodPost, path) }

// built are the programs by their folders, each built once.
var built = struct {
	sync.Mutex
	dir      string
	programs map[string]func() (string, error)
}{programs: make(map[string]func() (string, error))}

func TestMain(m *testing.M) {
	var err error
	if built.dir, err = os.MkdirTemp("", "moving"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(built.dir)
	os.Exit(code)
}

func build(t *testing.T, folder string) string {
	t.Helper()
	built.Lock()
	once, ok := built.programs[folder]
	if !ok {
		once = sync.OnceValues(func() (string, error) {
			program := filepath.Join(built.dir, strings.ReplaceAll(folder, "/", "-"))
			out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "./"+folder).CombinedOutput()
			if err != nil {
				return string(out), err
			}
			return program, nil
		})
		built.programs[folder] = once
	}
	built.Unlock()
	program, err := once()
	require.NoError(t, err, program)
	return program
}

// express returns the folder of the express program with what it requires.
func express(t *testing.T) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	dir := filepath.Join(built.dir, "express")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return dir
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				require.NoError(t, err)
			}
			t.Skipf("SKIPPED: %s is not installed", tool)
		}
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"package.json", "shop.js"} {
		data, err := os.ReadFile(filepath.Join("express", "before", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	install.Dir = dir
	out, err := install.CombinedOutput()
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("SKIPPED: npm install: %v\n%s", err, out)
	}
	require.NoError(t, err, "%s", out)
	return dir
}
