package django_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/python"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestDjangoAndGoShareSessions: a browser goes back and forth between the shop in Django, whose
// sessions "waddle serve" keeps, and the one in Go, which opens the same database itself.
func TestDjangoAndGoShareSessions(t *testing.T) {
	interpreter := django(t)
	program := filepath.Join(folder, "goshop")
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "./goshop").CombinedOutput()
	require.NoError(t, err, "%s", out)
	users := filepath.Join(folder, "users.sqlite3")
	python.Run(t, python.Command(t, interpreter, "site", path, []string{"DJANGO_SETTINGS_MODULE=shop.settings", "SHOP_DATABASE=" + users}, "-c", `
import django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
get_user_model().objects.create_user("ada", password="lovelace", pk=`+ada+`)`))

	for name, storage := range map[string]func(t *testing.T) string{
		"redis": func(t *testing.T) string {
			return "redis://" + backend.Redis(t, backend.RedisOptions{}).Addr()
		},
		// Sites in Django usually have this server anyway.
		"postgres": func(t *testing.T) string {
			server := backend.Postgres(t, backend.PostgresOptions{})
			return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", backend.PostgresUser, server.Addr(), backend.PostgresDatabase)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServers(t, interpreter, program, users, storage(t))
			s.logInOnDjangoAndLogOutOnGo(t)
			s.logOutOnDjango(t)
			s.bothChangeAtOnce(t)
			s.idsAreRenewed(t)
			s.operatorEndsSessions(t)
		})
	}
}

func (s *servers) logInOnDjangoAndLogOutOnGo(t *testing.T) {
	b := s.browser(t)
	b.onDjango("/add/", url.Values{"thing": {"figs"}})
	b.onGo("/look")
	require.Equal(t, page{Cart: map[string]int{"figs": 1}, Looks: 1}, b.goShop())
	b.logIn()
	require.Equal(t, page{User: ada, Cart: map[string]int{"figs": 1}, Looks: 1}, b.goShop())
	require.Equal(t, page{User: "ada", Cart: map[string]int{"figs": 1}}, b.django())
	b.onGo("/log-out")
	require.Equal(t, page{Cart: map[string]int{}}, b.django(), "after the log-out in Go")
	require.Zero(t, b.goShop())
}

func (s *servers) logOutOnDjango(t *testing.T) {
	b := s.browser(t)
	b.logIn()
	id := b.id()
	require.Equal(t, ada, b.goShop().User)
	b.onDjango("/log-out/", nil)
	require.Zero(t, b.goShop(), "after the log-out in Django")
	// Somebody who kept the cookie has nothing, either.
	require.Empty(t, s.browserWith(t, id).goShop().User)
	require.Empty(t, s.browserWith(t, id).django().User)
}

// bothChangeAtOnce: each writes its own value of one session, again and again.
func (s *servers) bothChangeAtOnce(t *testing.T) {
	b := s.browser(t)
	b.logIn()
	const times = 10
	var both sync.WaitGroup
	both.Go(func() {
		for range times {
			b.onDjango("/add/", url.Values{"thing": {"figs"}})
		}
	})
	both.Go(func() {
		for range times {
			b.onGo("/look")
		}
	})
	both.Wait()
	require.Equal(t, page{User: ada, Cart: map[string]int{"figs": times}, Looks: times}, b.goShop())
}

func (s *servers) idsAreRenewed(t *testing.T) {
	b := s.browser(t)
	b.onDjango("/add/", url.Values{"thing": {"figs"}})
	visitor := b.id()
	b.logIn()
	user := b.id()
	require.NotEqual(t, visitor, user)
	b.onGo("/confirm")
	confirmed := b.id()
	require.NotEqual(t, user, confirmed)
	require.Equal(t, page{User: "ada", Cart: map[string]int{"figs": 1}}, b.django(), "with the id that the log-in in Go gave")
	for _, old := range []string{visitor, user} {
		require.Empty(t, s.browserWith(t, old).django().User)
		require.Empty(t, s.browserWith(t, old).goShop().User)
	}
}

func (s *servers) operatorEndsSessions(t *testing.T) {
	b, other := s.browser(t), s.browser(t)
	b.logIn()
	other.logIn()
	require.Equal(t, ada, b.goShop().User)
	answer := s.operator(t, "/v1/admin/end", map[string]string{"user": ada})
	require.GreaterOrEqual(t, answer["ended"], 2.0)
	for _, browser := range []*browser{b, other} {
		require.Empty(t, browser.django().User)
		require.Empty(t, browser.goShop().User)
	}
}

// ada is the user's primary key, which is what Go calls the user.
const ada = "7"

// servers are those that run side by side.
type servers struct {
	djangoURL, goURL *url.URL
	operatorSocket   string
}

func startServers(t *testing.T, interpreter, goShop, users, storage string) *servers {
	t.Helper()
	data, err := os.ReadFile(users)
	require.NoError(t, err)
	database := filepath.Join(t.TempDir(), "users.sqlite3")
	require.NoError(t, os.WriteFile(database, data, 0o600))
	// The path of a socket may be no longer than 107 bytes.
	sockets, err := os.MkdirTemp("", "s")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	s := &servers{operatorSocket: filepath.Join(sockets, "operator")}
	socket := filepath.Join(sockets, "shop")

	serve := exec.Command(waddle(t), "serve", "--addr", "unix:"+socket, "--admin-addr", "unix:"+s.operatorSocket)
	serve.Env = append(python.Environment(), "SESSION_STORAGE="+storage)
	start(t, serve)

	env := []string{"WADDLE_SOCKET=" + socket, "SHOP_DATABASE=" + database}
	manage := func(arguments ...string) *exec.Cmd {
		return python.Command(t, interpreter, "site", nil, env, append([]string{"manage.py"}, arguments...)...)
	}
	require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, time.Minute, 10*time.Millisecond)
	python.Run(t, manage("check", "--fail-level", "WARNING"))

	s.djangoURL, s.goURL = freeAddress(t), freeAddress(t)
	start(t, manage("runserver", "--noreload", s.djangoURL.Host))
	shop := exec.Command(goShop, "-addr", s.goURL.Host)
	shop.Env = serve.Env
	start(t, shop)
	for _, server := range []*url.URL{s.djangoURL, s.goURL} {
		require.Eventually(t, func() bool {
			connection, err := net.Dial("tcp", server.Host)
			return err == nil && connection.Close() == nil
		}, time.Minute, 10*time.Millisecond)
	}
	return s
}

// start starts a server that ends with the test.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", cmd, &out)
		}
	})
}

func freeAddress(t *testing.T) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return &url.URL{Scheme: "http", Host: listener.Addr().String()}
}

// operator asks what only whoever runs the server may.
func (s *servers) operator(t *testing.T, path string, body any) map[string]any {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", s.operatorSocket) }}}
	defer client.CloseIdleConnections()
	data, err := json.Marshal(body)
	require.NoError(t, err)
	answer, err := client.Post("http://waddle"+path, "application/json", bytes.NewReader(data))
	require.NoError(t, err)
	defer answer.Body.Close()
	var v map[string]any
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&v))
	require.Equal(t, http.StatusOK, answer.StatusCode, "%v", v)
	return v
}

// browser has one jar for the cookies of both servers, as a browser has for one host.
type browser struct {
	t       *testing.T
	servers *servers
	client  *http.Client
}

// page is what both servers tell of a session.
type page struct {
	User  string
	Cart  map[string]int
	Looks int
}

func (s *servers) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// browserWith returns a browser of somebody who has only a session's id.
func (s *servers) browserWith(t *testing.T, id string) *browser {
	t.Helper()
	b := s.browser(t)
	b.client.Jar.SetCookies(s.goURL, []*http.Cookie{{Name: "session_id", Value: id, Path: "/"}})
	return b
}

func (b *browser) cookie(name string) string {
	for _, c := range b.client.Jar.Cookies(b.servers.goURL) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) id() string {
	b.t.Helper()
	id := b.cookie("session_id")
	require.NotEmpty(b.t, id)
	return id
}

// do makes a request as a browser does from a page of the same site.
func (b *browser) do(method string, to *url.URL, path string, form url.Values, header http.Header) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, to.JoinPath(path).String(), strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header = http.Header{"Sec-Fetch-Site": {"same-origin"}}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(b.t, err)
	return answer, string(body)
}

func (b *browser) read(to *url.URL) (p page) {
	b.t.Helper()
	answer, body := b.do(http.MethodGet, to, "/", nil, http.Header{"Accept": {"application/json"}})
	require.Equal(b.t, http.StatusOK, answer.StatusCode, body)
	require.NoError(b.t, json.Unmarshal([]byte(body), &p), body)
	return p
}

func (b *browser) goShop() page { return b.read(b.servers.goURL) }
func (b *browser) django() page { return b.read(b.servers.djangoURL) }

func (b *browser) onGo(path string) {
	b.t.Helper()
	answer, body := b.do(http.MethodPost, b.servers.goURL, path, nil, nil)
	require.Equal(b.t, http.StatusOK, answer.StatusCode, body)
}

// onDjango sends a form, with the token that Django's pages have for it.
func (b *browser) onDjango(path string, form url.Values) {
	b.t.Helper()
	if b.cookie("csrftoken") == "" {
		b.do(http.MethodGet, b.servers.djangoURL, "/log-in/", nil, nil)
	}
	answer, body := b.do(http.MethodPost, b.servers.djangoURL, path, form, http.Header{"X-Csrftoken": {b.cookie("csrftoken")}})
	require.Equal(b.t, http.StatusFound, answer.StatusCode, body)
}

func (b *browser) logIn() {
	b.t.Helper()
	b.onDjango("/log-in/", url.Values{"username": {"ada"}, "password": {"lovelace"}})
}
