package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crashes is how often each server is killed. Starting one takes most of the time,
// so the number is small unless WADDLE_CRASHES sets it; asked says whether it does.
func crashes(t *testing.T) (n int, asked bool) {
	text := os.Getenv("WADDLE_CRASHES")
	if text == "" {
		return 3, false
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n, true
}

// TestKilledServer: with durability at every commit no answered write is lost,
// nothing comes back torn, mixed or under another id, and no ended session returns,
// whenever the process is killed. With any other durability all but the first holds
// too. For a killed process the first holds as well, since the operating system has
// its writes.
func TestKilledServer(t *testing.T) {
	for name := range engines {
		for _, durability := range []string{"commit", "interval", "close"} {
			t.Run(name+"/"+durability, func(t *testing.T) {
				n, _ := crashes(t)
				if durability != "commit" {
					n = max(1, n/4)
				}
				h := &harness{t: t, engine: name, durability: durability, dir: t.TempDir()}
				for i := range 12 {
					h.visitors = append(h.visitors, &visitor{name: fmt.Sprintf("visitor %d", i)})
				}
				for round := range n {
					h.start(round)
					h.check()
					h.load(time.Duration(rand.IntN(120)+1)*time.Millisecond, h.kill)
				}
				h.start(n)
				h.check()
				h.kill()
				require.Positive(t, h.answered, "no write was ever answered")
				t.Logf("%d crashes, %d answered writes, %d in flight", n, h.answered, h.inFlight)
			})
		}
	}
}

type harness struct {
	t                       *testing.T
	engine, durability, dir string
	visitors                []*visitor

	process *exec.Cmd
	stderr  *bytes.Buffer
	base    *url.URL

	answered, inFlight int
	first              chan struct{} // closed at the first answer of a round; nil then
}

// visitor is a browser with the answers it got.
type visitor struct {
	name string
	jar  http.CookieJar // nil for one without a session

	count   int  // the last answer; 0 before the first
	bumping bool // an increment is not answered yet
	ending  bool // a log-out is not answered yet

	// ended are sessions whose end was confirmed: they must not come back.
	ended []http.CookieJar
}

// command prepares a process of the server, over the directory as the last one left it.
func (h *harness) command() {
	h.stderr = new(bytes.Buffer)
	h.process = exec.Command(os.Args[0])
	h.process.Env = append(os.Environ(), engineVariable+"="+h.engine, dirVariable+"="+h.dir,
		durabilityVariable+"="+h.durability)
	h.process.Stderr = h.stderr
}

// start runs the server until it listens.
func (h *harness) start(round int) {
	h.command()
	out, err := h.process.StdoutPipe()
	require.NoError(h.t, err)
	require.NoError(h.t, h.process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = h.process.Wait()
	}
	require.NoError(h.t, err, "round %d: the server does not start: %s", round, h.stderr)
	h.base, err = url.Parse("http://" + strings.TrimSpace(line))
	require.NoError(h.t, err)
}

func (h *harness) kill() {
	_ = h.process.Process.Kill()
	_ = h.process.Wait()
}

// load keeps all visitors busy until it kills the server in the middle of the work,
// some time after the first answer.
func (h *harness) load(after time.Duration, end func()) {
	var wait sync.WaitGroup
	first := make(chan struct{})
	h.first = first
	for _, v := range h.visitors {
		wait.Go(func() { v.visit(h) })
	}
	select {
	case <-first:
		time.Sleep(after)
	case <-time.After(20 * time.Second):
	}
	end()
	wait.Wait()
	for _, v := range h.visitors {
		if v.bumping || v.ending {
			h.inFlight++
		}
	}
}

var errNoAnswer = errors.New("no answer")

// ask returns the body of a successful answer. Anything else counts as no answer:
// the server is being killed.
func (h *harness) ask(jar http.CookieJar, method, path string, form url.Values) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	client := http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}
	r, err := http.NewRequest(method, h.base.JoinPath(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(r)
	if err != nil {
		return "", errNoAnswer
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return "", errNoAnswer
	}
	return string(body), nil
}

func (v *visitor) visit(h *harness) {
	for {
		if v.jar == nil {
			v.jar, _ = cookiejar.New(nil)
			v.count = 0
		}
		if v.count > 0 && rand.IntN(12) == 0 {
			v.ending = true
			// The server takes the cookie away; the visitor keeps a copy, as a thief would.
			kept := copyJar(v.jar, h.base)
			if _, err := h.ask(v.jar, http.MethodPost, "/end", nil); err != nil {
				v.jar = kept
				return
			}
			v.ending, v.jar, v.ended = false, nil, append(v.ended, kept)
			continue
		}
		v.bumping = true
		body, err := h.ask(v.jar, http.MethodPost, "/bump", url.Values{"owner": {v.name}})
		if err != nil {
			return
		}
		n, err := strconv.Atoi(body)
		if err != nil || n != v.count+1 {
			h.t.Errorf("%s was at %d, and the next answer was %q", v.name, v.count, body)
			return
		}
		v.bumping, v.count = false, n
		h.count()
	}
}

var counting sync.Mutex

func (h *harness) count() {
	counting.Lock()
	defer counting.Unlock()
	h.answered++
	if h.first != nil {
		close(h.first)
		h.first = nil
	}
}

func copyJar(jar http.CookieJar, base *url.URL) http.CookieJar {
	to, _ := cookiejar.New(nil)
	to.SetCookies(base, jar.Cookies(base))
	return to
}

// check compares the server's sessions with its earlier answers.
func (h *harness) check() {
	for _, v := range h.visitors {
		v.check(h)
	}
}

func (v *visitor) check(h *harness) {
	t := h.t
	t.Helper()
	for _, jar := range v.ended {
		n, _, _ := v.show(h, jar)
		require.Zero(t, n, "a session of %s that was ended came back", v.name)
	}
	if len(v.ended) > 8 {
		v.ended = v.ended[len(v.ended)-8:]
	}
	if v.jar == nil || v.count == 0 {
		// There was no answer, so a session may or may not exist.
		v.jar, v.bumping, v.ending = nil, false, false
		return
	}
	n, who, what := v.show(h, v.jar)
	if v.ending && n == 0 {
		v.jar, v.ending, v.bumping = nil, false, false
		return
	}
	possible := []int{v.count}
	if v.bumping {
		possible = append(possible, v.count+1)
	}
	require.Contains(t, possible, n, "%s was answered %d (bumping %v, ending %v)", v.name, v.count, v.bumping, v.ending)
	require.Equal(t, v.name, who)
	require.Equal(t, textOf(v.name, n), what)
	v.count, v.bumping, v.ending = n, false, false
}

func (v *visitor) show(h *harness, jar http.CookieJar) (n int, who, what string) {
	body, err := h.ask(jar, http.MethodGet, "/show", nil)
	require.NoError(h.t, err, "%s", h.stderr)
	parts := strings.SplitN(body, "\n", 3)
	require.Len(h.t, parts, 3)
	n, err = strconv.Atoi(parts[0])
	require.NoError(h.t, err)
	return n, parts[1], parts[2]
}
