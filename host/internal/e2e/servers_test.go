package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	storages "github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// serverVariable turns a process of the test binary into one of several servers with
// sessions in one place, which SESSION_STORAGE names as for any program.
const serverVariable = "WADDLE_E2E_SERVER"

// serveStorage runs until killed. The first line of its output is its address.
func serveStorage() error {
	engine, err := storages.OpenFromEnv(context.Background(), os.Environ())
	if err != nil {
		return err
	}
	sessions, err := session.New(engine, session.Settings{})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	handle := func(pattern string, f func(s *session.Session, r *http.Request) (string, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := f(session.From(r), r)
			if err == nil {
				err = session.From(r).Save() // what is answered with 200 is stored
			}
			if err != nil {
				sessions.WriteError(w, r, err)
				return
			}
			fmt.Fprint(w, answer)
		})
	}
	handle("POST /bump", func(s *session.Session, r *http.Request) (string, error) {
		if err := owner.Set(s, r.FormValue("owner")); err != nil {
			return "", err
		}
		n, err := count.Update(s, func(n int) (int, error) { return n + 1, nil })
		return fmt.Sprint(n), err
	})
	handle("POST /login", func(s *session.Session, r *http.Request) (string, error) {
		return "", s.LogIn(r.FormValue("owner"), nil)
	})
	handle("POST /end", func(s *session.Session, _ *http.Request) (string, error) { return "", s.Destroy() })
	handle("GET /show", func(s *session.Session, _ *http.Request) (string, error) {
		n, err1 := count.Get(s)
		who, err2 := owner.Get(s)
		return fmt.Sprintf("%d\n%s", n, who), errors.Join(err1, err2)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, sessions.Handler(mux))
}

// serverProcess is one server.
type serverProcess struct {
	t       *testing.T
	storage string

	mu      sync.Mutex
	process *exec.Cmd
	stderr  *logLines
	base    *url.URL // nil while it is not running
}

func (p *serverProcess) start() {
	process, stderr := exec.Command(os.Args[0]), new(logLines)
	process.Env = append(os.Environ(), serverVariable+"=1", "SESSION_STORAGE="+p.storage)
	process.Stderr = stderr
	out, err := process.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = process.Wait()
	}
	if err != nil {
		_, says := stderr.count()
		require.NoError(p.t, err, "the server does not start: %s", says)
	}
	base, err := url.Parse("http://" + strings.TrimSpace(line))
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process, p.stderr, p.base = process, stderr, base
}

func (p *serverProcess) kill() {
	p.mu.Lock()
	process := p.process
	p.base, p.process = nil, nil
	p.mu.Unlock()
	if process != nil {
		_ = process.Process.Kill()
		_ = process.Wait()
	}
}

func (p *serverProcess) address() *url.URL {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.base
}

// cluster is several servers over one backend.
type cluster struct {
	t         *testing.T
	processes []*serverProcess
	answered  atomic.Int64
	refused   atomic.Int64
	over      atomic.Bool // visitors finish what they do
	client    http.Client
}

func startCluster(t *testing.T, storage string) *cluster {
	c := &cluster{t: t, client: http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute,
	}}
	for range 3 {
		p := &serverProcess{t: t, storage: storage}
		c.processes = append(c.processes, p)
		t.Cleanup(p.kill)
		p.start() // one after the other, so that the first compiles for all
	}
	t.Cleanup(c.client.CloseIdleConnections)
	return c
}

// running returns the address of a server that runs, by chance or, if there is a number, that
// one.
func (c *cluster) running(number int) *url.URL {
	for {
		p := c.processes[rand.IntN(len(c.processes))]
		if number >= 0 {
			p = c.processes[number]
		}
		if base := p.address(); base != nil {
			return base
		}
		time.Sleep(time.Millisecond)
	}
}

// ask sends a request to a server: any if number is negative. Anything but a successful
// answer counts as none.
func (c *cluster) ask(number int, jar http.CookieJar, method, path string, form url.Values) (string, error) {
	r, err := http.NewRequest(method, c.running(number).JoinPath(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	response, err := c.client.Do(r)
	if err != nil {
		return "", errNoAnswer
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil {
		jar.SetCookies(r.URL, response.Cookies())
	}
	if err != nil || response.StatusCode != http.StatusOK {
		c.refused.Add(1)
		return fmt.Sprint(response.Status, ": ", string(body)), errNoAnswer
	}
	c.answered.Add(1)
	return string(body), nil
}

// tourist is a browser whose requests go to any server, one after the other, so that each
// answer must follow from the one before.
type tourist struct {
	name  string
	c     *cluster
	jar   http.CookieJar
	count int // what was answered last
	cut   int // how many increments were not answered since
	ended []http.CookieJar
}

// home is an address for cookies: all servers have one host.
var home = &url.URL{Scheme: "http", Host: "127.0.0.1"}

func (v *tourist) travel() {
	for !v.c.over.Load() {
		if v.jar == nil {
			v.jar, _ = cookiejar.New(nil)
			v.count, v.cut = 0, 0
		}
		switch n := rand.IntN(20); {
		case n == 0 && v.count > 0:
			v.end()
		case n == 1 && v.count > 0:
			v.logIn()
		case n < 6 && v.count > 0:
			v.show(-1)
		default:
			v.bump()
		}
	}
}

func (v *tourist) bump() {
	body, err := v.c.ask(-1, v.jar, http.MethodPost, "/bump", url.Values{"owner": {v.name}})
	if err != nil {
		if v.cut++; v.count == 0 {
			v.jar = nil // there may be a session that nobody knows of
		}
		time.Sleep(5 * time.Millisecond)
		return
	}
	n, err := strconv.Atoi(body)
	if err != nil || n <= v.count || n > v.count+v.cut+1 {
		v.c.t.Errorf("%s was at %d, with %d increments without an answer, and the next answer was %q", v.name, v.count, v.cut, body)
	}
	// What was not answered can no longer happen: it would have to replace a record that is
	// gone.
	v.count, v.cut = n, 0
}

// show asks a server what it has.
func (v *tourist) show(server int) {
	body, err := v.c.ask(server, v.jar, http.MethodGet, "/show", nil)
	if err != nil {
		return
	}
	number, who, _ := strings.Cut(body, "\n")
	n, err := strconv.Atoi(number)
	if err != nil || who != v.name || n < v.count || n > v.count+v.cut {
		v.c.t.Errorf("%s was at %d, with %d increments without an answer, and is shown %q", v.name, v.count, v.cut, body)
	}
	v.cut -= n - v.count
	v.count = n
}

// logIn gives the session a new id. If there is no answer, the browser does not know
// which.
func (v *tourist) logIn() {
	kept := copyJar(v.jar, home)
	if _, err := v.c.ask(-1, v.jar, http.MethodPost, "/login", url.Values{"owner": {v.name}}); err != nil {
		v.jar = nil
		return
	}
	v.ended = append(v.ended, kept)
}

func (v *tourist) end() {
	kept := copyJar(v.jar, home)
	_, err := v.c.ask(-1, v.jar, http.MethodPost, "/end", nil)
	v.jar = nil
	if err == nil {
		v.ended = append(v.ended, kept)
		v.mustBeOver(kept, -1)
	}
}

// mustBeOver requires that a session that has ended, or has another id, is nowhere.
func (v *tourist) mustBeOver(jar http.CookieJar, server int) {
	body, err := v.c.ask(server, copyJar(jar, home), http.MethodGet, "/show", nil)
	if err == nil && body != "0\n" {
		v.c.t.Errorf("a session of %s that was ended came back: %q", v.name, body)
	}
}

// settle requires the same of every server, after the storm.
func (v *tourist) settle() {
	for i := range v.c.processes {
		for _, jar := range v.ended {
			v.mustBeOver(jar, i)
		}
		if v.jar != nil && v.count > 0 {
			v.show(i)
		}
	}
}

// crowd is many clients with one session, on all servers at once.
type crowd struct {
	name          string
	c             *cluster
	jar           http.CookieJar
	answered, cut atomic.Int64
	seen          sync.Map // every count that was answered
}

func (w *crowd) begin() {
	w.jar, _ = cookiejar.New(nil)
	body, err := w.c.ask(-1, w.jar, http.MethodPost, "/bump", url.Values{"owner": {w.name}})
	require.NoError(w.c.t, err, body)
	w.answered.Store(1)
}

func (w *crowd) work(server int) {
	for !w.c.over.Load() {
		body, err := w.c.ask(server, copyJar(w.jar, home), http.MethodPost, "/bump", url.Values{"owner": {w.name}})
		if err != nil {
			w.cut.Add(1)
			time.Sleep(5 * time.Millisecond)
			continue
		}
		w.answered.Add(1)
		if _, twice := w.seen.LoadOrStore(body, true); twice {
			w.c.t.Errorf("%s: two clients were both told %s", w.name, body)
		}
	}
}

// settle requires that every increment that was answered was counted, and no other but
// those that were cut off.
func (w *crowd) settle() {
	for i := range w.c.processes {
		body, err := w.c.ask(i, w.jar, http.MethodGet, "/show", nil)
		require.NoError(w.c.t, err, body)
		number, who, _ := strings.Cut(body, "\n")
		n, err := strconv.ParseInt(number, 10, 64)
		require.NoError(w.c.t, err)
		require.Equal(w.c.t, w.name, who)
		require.GreaterOrEqual(w.c.t, n, w.answered.Load(), "increments that were answered are lost")
		require.LessOrEqual(w.c.t, n, w.answered.Load()+w.cut.Load(), "increments came from nowhere")
	}
}

// storm has tourists and crowds work on all servers while do happens, several times.
func (c *cluster) storm(rounds int, do func(round int)) {
	var tourists []*tourist
	var crowds []*crowd
	var working sync.WaitGroup
	for i := range 12 {
		v := &tourist{name: fmt.Sprintf("tourist %d", i), c: c}
		tourists = append(tourists, v)
		working.Go(v.travel)
	}
	for i := range 2 {
		w := &crowd{name: fmt.Sprintf("crowd %d", i), c: c}
		w.begin()
		crowds = append(crowds, w)
		for client := range 2 * len(c.processes) {
			working.Go(func() { w.work(client % len(c.processes)) })
		}
	}
	defer func() {
		c.over.Store(true)
		working.Wait()
	}()
	c.calm(300)
	require.Zero(c.t, c.refused.Load(), "as long as nothing happens, every request succeeds")
	for round := range rounds {
		do(round)
		c.calm(200)
	}
	c.over.Store(true)
	working.Wait()
	for _, v := range tourists {
		v.settle()
	}
	for _, w := range crowds {
		w.settle()
	}
	c.t.Logf("%d answers, %d refused", c.answered.Load(), c.refused.Load())
}

// calm waits for some more answers: for recovery that needs nobody.
func (c *cluster) calm(more int64) {
	c.t.Helper()
	from := c.answered.Load()
	for until := time.Now().Add(time.Minute); c.answered.Load() < from+more && !c.t.Failed(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			require.Fail(c.t, "the servers do not answer again by themselves", c.log())
		}
	}
}

func (c *cluster) log() (all []string) {
	for _, p := range c.processes {
		p.mu.Lock()
		_, says := p.stderr.count()
		p.mu.Unlock()
		all = append(all, says)
	}
	return all
}

// sharedBackend is what the servers of a cluster have in common.
type sharedBackend struct {
	storage string // the value of SESSION_STORAGE
	restart func() // ends it in the middle of what it does, and starts it again
}

var sharedBackends = map[string]func(t *testing.T) sharedBackend{
	"redis": func(t *testing.T) sharedBackend {
		server := backend.Redis(t, backend.RedisOptions{Persist: true})
		return sharedBackend{"redis://" + server.Addr(), func() { server.Kill(); server.Restart() }}
	},
	"postgres": func(t *testing.T) sharedBackend {
		server := backend.Postgres(t, backend.PostgresOptions{})
		storage := url.URL{Scheme: "postgres", User: url.UserPassword(backend.PostgresUser, backend.PostgresPassword),
			Host: server.Addr(), Path: backend.PostgresDatabase, RawQuery: "sslmode=disable"}
		return sharedBackend{storage.String(), func() { server.Kill(); server.Restart() }}
	},
}

// TestServersShareSessions: three processes have one backend. Sessions begun on one are
// known on the others, and over everywhere when they are ended on one; nothing that was
// answered is lost, nothing is counted twice, and no session is mixed up with another, while
// servers are killed and started again, and while the backend is.
func TestServersShareSessions(t *testing.T) {
	for name, open := range sharedBackends {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("starts three servers and a backend")
			}
			rounds, asked := crashes(t)
			if !asked {
				rounds = 2
			}
			b := open(t)
			c := startCluster(t, b.storage)
			c.storm(rounds, func(round int) {
				killed := c.processes[round%len(c.processes)]
				killed.kill()
				c.calm(100)
				killed.start()
				c.calm(100)
				b.restart()
			})
		})
	}
}
