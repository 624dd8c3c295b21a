package fusetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/internal/servertest/visitors"
)

var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// waddle returns the path of the program, built once for all tests.
func waddle(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "fusetest"); program.err != nil {
			return
		}
		program.path = filepath.Join(program.dir, "waddle")
		build := exec.Command("go", "build", "-o", program.path, "./host/cmd/waddle")
		build.Dir = filepath.Join("..", "..", "..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, program.err)
	return program.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

// site is the program running on a machine, and its visitors.
type site struct {
	visitors.Site
	machine    *machine
	engine     string
	durability string
	everybody  []*visitors.Visitor

	process *exec.Cmd
	log     *lines // what the program logs
	client  http.Transport

	struck            int         // how often the disk failed
	well              atomic.Bool // nothing is wrong with the disk, so nothing may be refused
	answered, refused atomic.Int64
}

func newSite(t *testing.T, m *machine, engine, durability string) *site {
	s := &site{machine: m, engine: engine, durability: durability}
	s.Site = visitors.Site{T: t, Ask: s.ask, Gone: m.isGone}
	for i := range 6 {
		s.everybody = append(s.everybody, &visitors.Visitor{Name: fmt.Sprintf("visitor %d", i)})
	}
	t.Cleanup(s.kill) // before the machine halts
	return s
}

// start runs the program, and reports whether it listened before the power went.
func (s *site) start(t *testing.T) bool {
	t.Helper()
	s.log = new(lines)
	s.process = exec.Command(waddle(t), "run", "--addr", "127.0.0.1:0")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SESSION_") && !strings.HasPrefix(v, "WADDLE_") {
			s.process.Env = append(s.process.Env, v)
		}
	}
	s.process.Env = append(s.process.Env, "SESSION_STORAGE="+s.engine, "SESSION_DURABILITY="+s.durability,
		"SESSION_DIR="+filepath.Join(s.machine.dir, "sessions"))
	s.process.Stderr = s.log
	out, err := s.process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.process.Start())
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
	}()
	select {
	case <-s.machine.gone:
		return false
	case line := <-lines:
		address := regexp.MustCompile(`http://\S+`).FindString(line)
		require.NotEmpty(t, address, "the program said %q, then %s", line, s.log)
		s.URL, err = url.Parse(address)
		require.NoError(t, err)
		return true
	}
}

// kill ends the program at once. It may be waiting for its disk, and cannot end before
// it is answered; it does nothing with the answer.
func (s *site) kill() {
	if s.process == nil {
		return
	}
	s.client.CloseIdleConnections()
	_ = s.process.Process.Kill()
	s.machine.release()
	_ = s.process.Wait()
	s.process = nil
	if text := s.log.String(); strings.Count(text, "\n") > mostLines {
		s.T.Errorf("the log has more than %d lines of one process:\n%s", mostLines, text)
	}
}

// mostLines bounds the log of one process, in which thousands of requests may be
// refused for some dozens of reasons.
const mostLines = 150

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// visit makes all visitors send requests until the power is gone, or while more
// returns true.
func (s *site) visit(rng *rand.Rand, may []string, more func() bool) {
	var wait sync.WaitGroup
	for _, v := range s.everybody {
		own := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		wait.Go(func() { v.Visit(&s.Site, own, may, more) })
	}
	wait.Wait()
}

// ask implements [visitors.Site.Ask] with the playground's interface.
func (s *site) ask(jar http.CookieJar, what, who string) (n int, ok bool) {
	switch what {
	case visitors.Show:
		var session struct {
			Values struct {
				N           int
				Owner, User string
			}
		}
		if !s.request(jar, http.MethodGet, "/api/session", "", &session) {
			return 0, false
		}
		v := session.Values
		if is := strings.TrimRight(v.Owner, "."); v.N > 0 && is != who || v.User != "" && v.User != who {
			s.T.Errorf("the session of %q, where %q is logged in, came to %q", is, v.User, who)
		}
		return v.N, true
	case visitors.LogIn, visitors.Renew:
		return 0, s.request(jar, http.MethodPost, "/api/login", fmt.Sprintf(`{"user":%q}`, who), nil)
	case visitors.End:
		return 0, s.request(jar, http.MethodPost, "/api/logout", "", nil)
	}
	owner := fmt.Sprintf("%q", who+strings.Repeat(".", rand.IntN(600)))
	var count struct{ Value int }
	ok = s.request(jar, http.MethodPut, "/api/session/owner", owner, nil) &&
		s.request(jar, http.MethodPost, "/api/session/n/increment", "", &count)
	return count.Value, ok
}

// request reports whether the request was done. If it was not, the answer must say
// that trying again may help, unless the power is gone: the disk failed, and nothing
// is wrong with the request.
func (s *site) request(jar http.CookieJar, method, path, body string, into any) bool {
	r, err := http.NewRequest(method, s.URL.String()+path, strings.NewReader(body))
	require.NoError(s.T, err)
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Jar: jar, Transport: &s.client, Timeout: time.Minute}
	answer, status, err := s.answer(&client, r)
	switch {
	case err != nil:
		if !s.Gone() {
			s.T.Errorf("%s %s: %v", method, path, err)
		}
		return false
	case status == http.StatusOK:
		s.answered.Add(1)
		if into != nil {
			require.NoError(s.T, json.Unmarshal(answer, into), "%s", answer)
		}
		return true
	case status != http.StatusServiceUnavailable:
		s.T.Errorf("%s %s is answered with %d: %s", method, path, status, answer)
	case s.well.Load() && !s.Gone():
		s.T.Errorf("%s %s is refused, although nothing is wrong with the disk: %s", method, path, answer)
	}
	s.refused.Add(1)
	return false
}

// answer makes a request. While the power is gone the server may not answer before it
// is killed.
func (s *site) answer(client *http.Client, r *http.Request) (body []byte, status int, err error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.machine.gone:
			cancel()
		case <-done:
		}
	}()
	response, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(response.Body); err != nil {
		return nil, 0, err
	}
	if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
		err = errors.New("503 without Retry-After")
	}
	return body, response.StatusCode, err
}
