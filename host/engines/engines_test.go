package engines_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

var (
	ctx     = context.Background()
	silent  = slog.New(slog.DiscardHandler)
	hostile = filepath.Join("..", "plugin", "testdata", "hostile.wasm") // its behaviour depends on the time it is given
)

const endlessLoop = store.Millis(2)

func TestMain(m *testing.M) {
	if engine := os.Getenv(startVariable); engine != "" {
		if err := started(engine, os.Getenv("WADDLE_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(backend.Main(m))
}

// memoryFile writes the module of the engine memory to a file.
func memoryFile(t *testing.T) string {
	t.Helper()
	wasm, err := memory.Module()
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "own.wasm")
	require.NoError(t, os.WriteFile(name, wasm, 0o600))
	return name
}

// TestOpenFromEnv: the engine that the environment names keeps a session of a real
// server, across a restart if there is a directory.
func TestOpenFromEnv(t *testing.T) {
	for _, c := range []struct {
		name  string
		env   []string
		is    string // the plugin's name
		keeps bool   // across a restart
	}{
		{"nothing", nil, "memory", false},
		{"set to nothing", []string{"SESSION_STORAGE= ", "SESSION_DIR="}, "memory", false},
		{"memory", []string{"SESSION_STORAGE=memory"}, "memory", false},
		{"memory with a directory", []string{"SESSION_STORAGE=memory", "SESSION_DIR=" + filepath.Join(t.TempDir(), "made")}, "memory", true},
		{"keyfolder", []string{"SESSION_STORAGE= keyfolder ", "SESSION_DIR=" + filepath.Join(t.TempDir(), "made"), "SESSION_DURABILITY=Commit"}, "keyfolder", true},
		{"dynfile", []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + t.TempDir(), "SESSION_DURABILITY=close", "SESSION_LOCK_WAIT=1s"}, "dynfile", true},
		{"a server", []string{"SESSION_STORAGE=redis://" + backend.SharedRedis(t, backend.RedisOptions{}).Addr()}, "redis", true},
		{"another server", []string{"SESSION_STORAGE=postgres://waddle@" + backend.SharedPostgres(t).Addr() + "/waddle"}, "postgres", true},
		{"a file", []string{"SESSION_STORAGE=" + memoryFile(t)}, "memory", false},
		{"a file with a directory", []string{"SESSION_STORAGE=" + memoryFile(t), "SESSION_DIR=" + filepath.Join(t.TempDir(), "made")}, "memory", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := func(cookie *http.Cookie) (*http.Cookie, bool) {
				s, err := engines.OpenFromEnv(ctx, c.env)
				require.NoError(t, err)
				p, ok := store.As[*plugin.Plugin](s)
				require.True(t, ok)
				require.Equal(t, c.is, p.Name())
				m, err := session.New(s, session.Settings{})
				require.NoError(t, err)
				var found bool
				server := httptest.NewServer(m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					var user string
					found, err = session.From(r).Get("user", &user)
					require.NoError(t, err)
					require.NoError(t, session.From(r).Set("user", "ada"))
				})))
				defer server.Close()
				r, err := http.NewRequest(http.MethodGet, server.URL, nil)
				require.NoError(t, err)
				if cookie != nil {
					r.AddCookie(cookie)
				}
				response, err := server.Client().Do(r)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.NoError(t, store.Close(ctx, s))
				if cookies := response.Cookies(); len(cookies) > 0 {
					cookie = cookies[0]
				}
				return cookie, found
			}
			cookie, found := request(nil)
			require.NotNil(t, cookie)
			require.False(t, found)
			_, found = request(cookie)
			require.Equal(t, c.keeps, found)
		})
	}
}

// TestFileIsNotTrusted: a call of a plugin from a file that never returns is ended
// even without a setting. A deadline that is set is kept.
func TestFileIsNotTrusted(t *testing.T) {
	for _, c := range []struct {
		deadline time.Duration
		within   time.Duration
	}{{0, time.Minute}, {50 * time.Millisecond, time.Minute}} {
		s := engines.Settings{Storage: hostile, Config: plugin.Config{Logger: silent, Deadline: c.deadline}}
		p, err := s.Open(ctx)
		require.NoError(t, err)
		began := time.Now()
		_, err = p.Get(ctx, make([]byte, 32), endlessLoop)
		require.ErrorIs(t, err, plugin.ErrDeadline)
		require.Less(t, time.Since(began), c.within)
		_ = p.Close(ctx)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		env  []string
		says []string
	}{
		{"no such file", []string{"SESSION_STORAGE=own.wasm"}, []string{`SESSION_STORAGE is "own.wasm": must be memory, keyfolder, dynfile, the URL of a server`, "or the path of a .wasm file", "no such file"}},
		{"a server without a URL", []string{"SESSION_STORAGE=redis"}, []string{`SESSION_STORAGE is "redis": must be the URL of a server, such as redis://host`}},
		{"another kind of server", []string{"SESSION_STORAGE=mysql://user:s3cr3t@host/db"}, []string{`SESSION_STORAGE is "mysql://…": must begin with one of redis, rediss`}},
		{"a wrong URL", []string{"SESSION_STORAGE=redis://user:s3cr3t@host:port"}, []string{`SESSION_STORAGE is "redis://…"`, "must name a host"}},
		{"another engine without a URL", []string{"SESSION_STORAGE=postgres"}, []string{`SESSION_STORAGE is "postgres": must be the URL of a server, such as postgres://host`}},
		{"a wrong URL of another", []string{"SESSION_STORAGE=postgresql://user:s3cr3t@host/db?sslmode=prefer"}, []string{`SESSION_STORAGE is "postgresql://…"`, `sslmode is "prefer": must be verify-full`}},
		{"a wrong option", []string{"SESSION_STORAGE=redis://user:s3cr3t@host?ttl=1"}, []string{`the option "ttl" is unknown`}},
		{"a server and a directory", []string{"SESSION_STORAGE=redis://user:s3cr3t@host", "SESSION_DIR=/srv"}, []string{`SESSION_DIR is "/srv", and the storage is a server`}},
		{"a directory", []string{"SESSION_STORAGE=" + dir}, []string{"SESSION_STORAGE is", "a directory: must be memory"}},
		{"files and no directory", []string{"SESSION_STORAGE=keyfolder"}, []string{"SESSION_DIR is not set: must be a directory, since the storage keyfolder keeps files"}},
		{"durability", []string{"SESSION_DURABILITY=always"}, []string{`SESSION_DURABILITY is "always": must be one of commit, interval and close`}},
		{"the default has no name", []string{"SESSION_DURABILITY=default"}, []string{`SESSION_DURABILITY is "default"`}},
		{"waiting", []string{"SESSION_LOCK_WAIT=soon"}, []string{`SESSION_LOCK_WAIT is "soon": must be seconds`}},
		{"waiting for less than nothing", []string{"SESSION_LOCK_WAIT=-1"}, []string{`SESSION_LOCK_WAIT is "-1": must be seconds`, "not negative"}},
		{"misspelt", []string{"SESSION_STORAG=memory"}, []string{"SESSION_STORAG,", "SESSION_STORAGE meant"}},
		{"plural", []string{"SESSION_DIRS=x"}, []string{"SESSION_DIR meant"}},
		{"small letters", []string{"session_lock_wait=1"}, []string{"SESSION_LOCK_WAIT meant"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := engines.OpenFromEnv(ctx, c.env)
			require.Nil(t, s)
			require.ErrorIs(t, err, engines.ErrSettings)
			for _, says := range c.says {
				require.ErrorContains(t, err, says)
			}
			require.NotContains(t, err.Error(), "s3cr3t")
		})
	}

	// Settings made by a program are named by their fields.
	for _, c := range []struct {
		s    engines.Settings
		says string
	}{
		{engines.Settings{Storage: "own.wasm"}, `: Storage is "own.wasm"`},
		{engines.Settings{Storage: "redis://host:0"}, `: Storage is "redis://…"`},
		{engines.Settings{Storage: dir}, ": Storage is"},
		{engines.Settings{Storage: "dynfile"}, ": Dir is not set"},
	} {
		_, err := c.s.Open(ctx)
		require.ErrorIs(t, err, engines.ErrSettings)
		require.ErrorContains(t, err, c.says)
	}
	s, err := engines.FromEnv([]string{"SESSION_STORAGE=memory"})
	require.NoError(t, err)
	s.Storage = "own.wasm"
	_, err = s.Open(ctx)
	require.ErrorContains(t, err, `: Storage is "own.wasm"`, "the environment set another value")
}

// TestMisspeltOnce: only the package whose setting was meant reports a misspelt
// name. No package reports a name that cannot be a misspelt setting.
func TestMisspeltOnce(t *testing.T) {
	for name, meant := range map[string]string{
		"SESSION_STORAG": "SESSION_STORAGE", "SESSION_DIRS": "SESSION_DIR", "session_dir": "SESSION_DIR", "SESION_DURABILITY": "SESSION_DURABILITY",
		"SESSION_LOCKWAIT": "SESSION_LOCK_WAIT", "SESSION_COOKIE_SECRUE": "SESSION_COOKIE_SECURE", "SESION_DURATION": "SESSION_DURATION",
		"SESSION_COOKIE_MAX_BYTES": "SESSION_COOKIE_", "SESSION_SECRET": "WADDLE_SECRET", "WADDLE_SECRET_FILES": "WADDLE_SECRET_FILE",
		"SESSION_KEYRING": "WADDLE_SECRET", "SESSION_ENGIN": "SESSION_ENGINE",
		"SESSION_ID": "", "SESSION_MANAGER": "", "SESSION_DRIVER": "", "SESSION_TYPE": "", "XDG_SESSION_ID": "",
		"SESSION_STORAGE": "", "SESSION_NAMESPACE": "",
	} {
		env := []string{name + "=memory"}
		_, ofSessions := session.FromEnv(env)
		_, ofStorage := engines.FromEnv(env)
		if meant == "" {
			require.NoError(t, ofSessions, name)
			require.NoError(t, ofStorage, name)
			continue
		}
		require.NotEqual(t, ofSessions == nil, ofStorage == nil, "%s: %v, %v", name, ofSessions, ofStorage)
		err := ofSessions
		if err == nil {
			err = ofStorage
		}
		require.ErrorContains(t, err, "the environment sets "+name+", which is not a setting; was "+meant)
	}
}

func TestDescribe(t *testing.T) {
	s, err := engines.FromEnv(nil)
	require.NoError(t, err)
	require.Equal(t, engines.Settings{}.Describe(), s.Describe())
	require.Equal(t, []engines.Setting{
		{Field: "Storage", Variable: "SESSION_STORAGE", Value: "memory"},
		{Field: "Dir", Variable: "SESSION_DIR", Value: "none"},
		{Field: "Config.Durability", Variable: "SESSION_DURABILITY", Value: "none"},
		{Field: "Config.LockWait", Variable: "SESSION_LOCK_WAIT", Value: "off"},
	}, s.Describe())

	s, err = engines.FromEnv([]string{"SESSION_STORAGE=dynfile", "SESSION_DIR=/srv/a b", "SESSION_LOCK_WAIT=90"})
	require.NoError(t, err)
	require.Equal(t, []engines.Setting{
		{Field: "Storage", Variable: "SESSION_STORAGE", Value: "dynfile", Changed: true},
		{Field: "Dir", Variable: "SESSION_DIR", Value: "/srv/a b", Changed: true},
		{Field: "Config.Durability", Variable: "SESSION_DURABILITY", Value: "interval"},
		{Field: "Config.LockWait", Variable: "SESSION_LOCK_WAIT", Value: "1m30s", Changed: true},
	}, s.Describe())

	// A password is not shown.
	onServer, err := engines.FromEnv([]string{"SESSION_STORAGE=rediss://ada:s3cr3t@cache.example.com:6380/2?prefix=shop:"})
	require.NoError(t, err)
	require.Equal(t, engines.Setting{Field: "Storage", Variable: "SESSION_STORAGE", Value: "rediss://ada:xxxxx@cache.example.com:6380/2?prefix=shop:", Changed: true},
		onServer.Describe()[0])

	onServer, err = engines.FromEnv([]string{"SESSION_STORAGE=postgres://ada:s3cr3t@db.example.com/shop?table=app.sessions"})
	require.NoError(t, err)
	require.Equal(t, "postgres://ada:xxxxx@db.example.com/shop?table=app.sessions", onServer.Describe()[0].Value)

	// Every described value can be set.
	var again []string
	for _, d := range s.Describe() {
		again = append(again, d.Variable+"="+d.Value)
	}
	same, err := engines.FromEnv(again)
	require.NoError(t, err)
	require.Equal(t, plugin.DurabilityInterval, same.Config.Durability)
	require.Equal(t, s.Config.LockWait, same.Config.LockWait)
}

// TestPackageGraph: importing sessions brings no engine and no wazero, and
// importing one engine does not bring the bytes of the others.
func TestPackageGraph(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: the graph of packages, which needs the go command")
	}
	const module = "github.com/waddle-sessions/waddle/"
	deps := func(pkg string) []string {
		out, err := exec.Command("go", "list", "-deps", module+pkg).Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	all := []string{"memory", "keyfolder", "dynfile", "redis", "postgres"}
	for _, name := range all {
		got := deps("host/engines/" + name)
		require.Contains(t, got, module+"host/plugin")
		require.NotContains(t, got, module+"host/engines")
		require.NotContains(t, got, module+"host/session")
		for _, other := range all {
			if other != name {
				require.NotContains(t, got, module+"host/engines/"+other)
			}
		}
	}
	require.NotContains(t, deps("host/engines"), module+"host/session")
	require.NotContains(t, deps("host/engines"), "net/http")
	for _, dep := range deps("host/session") {
		require.NotContains(t, dep, "host/engines")
		require.NotContains(t, dep, "host/plugin")
		require.NotContains(t, dep, "wazero")
	}
}
