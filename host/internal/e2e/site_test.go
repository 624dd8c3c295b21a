package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// siteVariable turns a process of the test binary into a server that runs until its
// standard input ends. Its value is siteOptions in JSON.
const siteVariable = "WADDLE_SITE"

// siteEngines includes memory besides the engines that keep files, since it keeps snapshots.
var siteEngines = []string{"keyfolder", "dynfile", "memory"}

type siteOptions struct {
	Engine, Dir     string
	Duration        time.Duration // 0 for the default
	MaxUserSessions int           // 0 for the default
	Ahead           time.Duration // how far the server's clock is ahead of the real one
	Speed           int           // seconds of its clock per real second
}

// siteClock is the server's clock, which can be set.
type siteClock struct {
	mu    sync.Mutex
	began time.Time
	ahead time.Duration
	speed int
}

func (c *siteClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began.Add(time.Since(c.began) * time.Duration(max(1, c.speed))).Add(c.ahead).Round(0)
}

func (c *siteClock) set(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = ahead
}

// siteSample is the server's use of its machine.
type siteSample struct{ RSS, Descriptors, Goroutines int64 }

func takeSample() siteSample {
	debug.FreeOSMemory()
	s := siteSample{Goroutines: int64(runtime.NumGoroutine())}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size int64
		_, _ = fmt.Sscan(string(text), &size, &s.RSS)
		s.RSS *= int64(os.Getpagesize())
	}
	if names, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.Descriptors = int64(len(names))
	}
	return s
}

func serveSite(text string) error {
	var o siteOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	clock := &siteClock{began: time.Now(), ahead: o.Ahead, speed: o.Speed}
	config := plugin.Config{
		Shards: 2, MemoryLimit: 128 << 20, Now: clock.now, Logger: slog.New(slog.DiscardHandler),
		SweepInterval: 50 * time.Millisecond, SaveInterval: 50 * time.Millisecond,
	}
	var engine *plugin.Plugin
	var err error
	switch o.Engine {
	case memory.Name:
		config.Snapshots, config.SaveInterval = o.Dir, 200*time.Millisecond
		engine, err = memory.Open(ctx, config)
	default:
		if o.Engine == dynfile.Name {
			config.GuestConfig = map[string]string{"segment_bytes": "65536"} // so that space is freed soon
		}
		engine, err = engines[o.Engine](ctx, o.Dir, config)
	}
	if err != nil {
		return err
	}
	settings := session.Defaults()
	settings.Now = clock.now
	settings.OnEvent = func(context.Context, session.Event) {}
	if o.Duration > 0 {
		settings.Lifetime = o.Duration
	}
	if o.MaxUserSessions > 0 {
		settings.MaxUserSessions = o.MaxUserSessions
	}
	sessions, err := session.New(engine, settings)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: siteHandler(sessions, clock)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Println(listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Shutdown(ctx); err != nil {
		return err
	}
	if err := <-failed; err != http.ErrServerClosed {
		return err
	}
	return engine.Close(ctx)
}

func siteHandler(sessions *session.Manager, clock *siteClock) http.Handler {
	site := http.NewServeMux()
	handle := func(pattern string, f func(s *session.Session, r *http.Request) (string, error)) {
		site.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := f(session.From(r), r)
			if err != nil {
				sessions.WriteError(w, r, err)
				return
			}
			fmt.Fprint(w, answer)
		})
	}
	handle("POST /bump", func(s *session.Session, r *http.Request) (string, error) {
		n, err := count.Get(s)
		if err == nil {
			err = text.Set(s, strings.Repeat(fmt.Sprintf("%04d", n+1), 700))
		}
		if err == nil {
			n, err = count.Update(s, func(n int) (int, error) { return n + 1, nil })
		}
		return fmt.Sprint(n), err
	})
	handle("POST /login", func(s *session.Session, r *http.Request) (string, error) {
		return "", s.LogIn(r.FormValue("user"), nil)
	})
	handle("POST /end", func(s *session.Session, r *http.Request) (string, error) { return "", s.Destroy() })
	handle("POST /show", func(s *session.Session, r *http.Request) (string, error) {
		n, err := count.Get(s)
		return fmt.Sprint(n), err
	})
	all := http.NewServeMux()
	all.Handle("/", sessions.Handler(site))
	all.HandleFunc("POST /clock", func(w http.ResponseWriter, r *http.Request) {
		ahead, err := time.ParseDuration(r.FormValue("ahead"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		clock.set(ahead)
	})
	all.HandleFunc("POST /sample", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(takeSample())
	})
	return all
}

// site is such a server, seen from a test.
type site struct {
	t       *testing.T
	options siteOptions

	process *exec.Cmd
	stdin   io.Closer
	stderr  *bytes.Buffer
	base    string
	client  *http.Client
}

func newSite(t *testing.T, o siteOptions) *site {
	t.Helper()
	s := &site{t: t, options: o}
	s.start()
	t.Cleanup(func() {
		if s.process != nil {
			s.kill()
		}
	})
	return s
}

func (s *site) start() {
	s.t.Helper()
	options, err := json.Marshal(s.options)
	require.NoError(s.t, err)
	s.stderr = new(bytes.Buffer)
	s.process = exec.Command(os.Args[0])
	s.process.Env = append(os.Environ(), siteVariable+"="+string(options))
	s.process.Stderr = s.stderr
	s.stdin, err = s.process.StdinPipe()
	require.NoError(s.t, err)
	out, err := s.process.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, s.process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = s.process.Wait()
		s.process = nil
	}
	require.NoError(s.t, err, "the server does not start: %s", s.stderr)
	s.base = "http://" + strings.TrimSpace(line)
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute}
}

// stop shuts the server down properly.
func (s *site) stop() {
	s.t.Helper()
	s.client.CloseIdleConnections()
	_ = s.stdin.Close()
	err := s.process.Wait()
	s.process = nil
	require.NoError(s.t, err, "%s", s.stderr)
}

func (s *site) kill() {
	s.client.CloseIdleConnections()
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// errEnded is returned when a session ends while a request changes it.
var errEnded = errors.New("the session has ended")

// post makes a request with a session and returns the cookie as the answer leaves
// it.
func (s *site) post(path, cookie string, form url.Values) (body, newCookie string, err error) {
	r, err := http.NewRequest(http.MethodPost, s.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", cookie, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return "", cookie, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
	case response.StatusCode == http.StatusConflict:
		err = fmt.Errorf("%s: %w: %s", path, errEnded, b)
	case response.StatusCode != http.StatusOK:
		err = fmt.Errorf("%s is answered with %d: %s", path, response.StatusCode, b)
	}
	for _, c := range response.Cookies() {
		cookie = c.Name + "=" + c.Value
		if c.MaxAge < 0 {
			cookie = ""
		}
	}
	return string(b), cookie, err
}

func (s *site) setClock(ahead time.Duration) {
	s.t.Helper()
	s.options.Ahead = ahead
	_, _, err := s.post("/clock", "", url.Values{"ahead": {ahead.String()}})
	require.NoError(s.t, err)
}
