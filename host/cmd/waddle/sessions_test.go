package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// logIns is who logs in for a test: two sessions of ada, one of bob, and one of nobody.
var logIns = []string{"ada", "ada", "bob", ""}

// listedSessions returns the output of a list with --json.
func listedSessions(t *testing.T, r result) (list []map[string]any) {
	t.Helper()
	require.Equal(t, 0, r.code, r.stderr)
	for line := range strings.Lines(r.stdout) {
		list = append(list, object(t, line))
	}
	return list
}

func handlesOf(list []map[string]any, user string) (handles []string) {
	for _, one := range list {
		if found, _ := one["user"].(string); found == user {
			handles = append(handles, one["handle"].(string))
		}
	}
	return handles
}

// TestSessions counts, lists, shows and ends sessions, whoever keeps them.
func TestSessions(t *testing.T) {
	needsSignals(t)
	if testing.Short() {
		t.Skip("starts servers")
	}
	secret := secretFile(t, oldSecret)
	sealed := []string{"WADDLE_SECRET_FILE=" + secret}
	byLibrary := func(t *testing.T, k keptIn) {
		k.with(t, func(_ store.Store, m *session.Manager) {
			for _, user := range logIns {
				s := m.Session(t.Context(), "")
				require.NoError(t, s.Set("basket", []string{"tea", "<cake>\x1b[31m"}))
				if user != "" {
					require.NoError(t, s.LogIn(user, map[string]string{"browser": "lynx"}))
				}
				require.NoError(t, s.Save())
			}
		})
	}
	// Each returns the flags and the settings with which the program finds the sessions.
	for name, begin := range map[string]func(t *testing.T) (flags, settings []string){
		"of a directory": func(t *testing.T) (flags, settings []string) {
			k := keptIn{Settings: engines.Settings{Storage: "dynfile", Dir: filepath.Join(t.TempDir(), "d")}, secret: oldSecret}
			byLibrary(t, k)
			return []string{"--dir", k.Dir}, sealed
		},
		"of the environment": func(t *testing.T) (flags, settings []string) {
			k := keptIn{Settings: engines.Settings{Storage: "keyfolder", Dir: filepath.Join(t.TempDir(), "k")}, codec: session.JSON}
			byLibrary(t, k)
			return nil, []string{"SESSION_STORAGE=keyfolder", "SESSION_DIR=" + k.Dir}
		},
		"of a server": func(t *testing.T) (flags, settings []string) {
			k := keptIn{Settings: engines.Settings{Storage: "redis://" + backend.Redis(t, backend.RedisOptions{}).Addr()}, secret: oldSecret}
			byLibrary(t, k)
			return []string{"--storage", k.Storage}, sealed
		},
		"of waddle serve, by a socket": func(t *testing.T) (flags, settings []string) {
			dir := socketDir(t)
			admin := "unix:" + filepath.Join(dir, "admin")
			s := serveSessions(t, filepath.Join(dir, "s"), append(sealed, "SESSION_STORAGE=dynfile", "SESSION_DIR="+filepath.Join(dir, "d")), "--admin-addr", admin)
			s.logIns(t)
			r := run(t, sealed, "sessions", "list", "--dir", filepath.Join(dir, "d"))
			require.Equal(t, 1, r.code)
			require.Contains(t, lastLine(r), fmt.Sprintf("in use by process %d", s.Process.Pid))
			require.Contains(t, lastLine(r), "'waddle serve' at its --admin-addr, with --server unix:PATH")
			return []string{"--server", admin}, nil
		},
		"of waddle serve, by TLS": func(t *testing.T) (flags, settings []string) {
			c := backend.NewCertificates(t)
			s := serveSessions(t, filepath.Join(socketDir(t), "s"), nil, "--admin-addr", "127.0.0.1:0", "--admin-client", "client",
				"--tls-cert", c.ServerFile, "--tls-key", c.ServerKeyFile, "--client-ca", c.RootFile)
			s.logIns(t)
			line, err := s.stdout.ReadString('\n')
			require.NoError(t, err)
			addr := regexp.MustCompile(`https://\S+`).FindString(line)
			require.NotEmpty(t, addr, line)
			r := run(t, nil, "sessions", "count", "--server", addr, "--server-ca", c.RootFile)
			require.Equal(t, 1, r.code, "without a certificate")
			require.Contains(t, lastLine(r), "the server cannot be asked")
			return []string{"--server", addr, "--tls-cert", c.ClientFile, "--tls-key", c.ClientKeyFile, "--server-ca", c.RootFile}, nil
		},
		"of waddle host": func(t *testing.T) (flags, settings []string) {
			dir := t.TempDir()
			writeManifest(t, dir, "alice")
			h := hostTenants(t, dir, nil)
			h.await(t, "alice", http.StatusOK)
			for _, user := range logIns {
				path, body := "/api/login", `{"user": "`+user+`"}`
				if user == "" {
					path, body = "/api/session/n/increment", "{}"
				}
				r, err := http.NewRequest(http.MethodPost, "http://"+h.site+path, strings.NewReader(body))
				require.NoError(t, err)
				r.Host = "alice.localhost"
				r.Header.Set("Content-Type", "application/json")
				response, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				text, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Equal(t, http.StatusOK, response.StatusCode, "%s", text)
			}
			flags = []string{"--server", "http://" + h.admin, "--tenant", "alice"}
			r := run(t, []string{"WADDLE_ADMIN_TOKEN=" + strings.Repeat("wrong", 10)}, append([]string{"sessions", "count"}, flags...)...)
			require.Equal(t, 1, r.code)
			require.Contains(t, lastLine(r), "needs the token of the admin interface")
			return append(flags, "--token-file", filepath.Join(dir, ".admin-token")), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags, settings := begin(t)
			do := func(args ...string) result {
				t.Helper()
				return run(t, settings, append(append([]string{"sessions"}, args...), flags...)...)
			}
			r := do("count")
			require.Equal(t, "4\n", r.stdout, r.stderr)
			if name == "of the environment" || name == "of a server" {
				return // the rest is as in a directory
			}
			require.JSONEq(t, `{"sessions": 2}`, do("count", "--user", "ada", "--json").stdout)
			list := listedSessions(t, do("list", "--json"))
			require.Len(t, list, 4)
			require.Len(t, handlesOf(list, ""), 1)
			ada := handlesOf(list, "ada")
			require.Len(t, ada, 2)
			for _, field := range []string{"created", "last_seen", "expires"} {
				at, err := time.Parse(time.RFC3339, list[0][field].(string))
				require.NoError(t, err)
				require.WithinDuration(t, time.Now(), at, 30*24*time.Hour)
			}
			require.Positive(t, list[0]["size"])
			require.ElementsMatch(t, ada, handlesOf(listedSessions(t, do("list", "--user", "ada", "--json")), "ada"))
			r = do("list", "--sort", "user", "--limit", "3")
			require.Equal(t, 0, r.code, r.stderr)
			lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
			require.Len(t, lines, 4)
			require.Regexp(t, `^HANDLE +SEEN +ENDS IN +USER$`, lines[0])
			require.NotContains(t, lines[1], "ada")
			require.Regexp(t, `^[\w.]{43}  \d*\w+ +\d+[dh] +ada$`, lines[2])
			for _, line := range lines {
				require.LessOrEqual(t, len(line), 80)
			}
			require.Contains(t, r.stderr, "there are more than these 3 sessions")

			r = do("show", ada[0])
			require.Equal(t, 0, r.code, r.stderr)
			require.Regexp(t, `(?m)^handle       `+regexp.QuoteMeta(ada[0])+`$`, r.stdout)
			require.Regexp(t, `(?m)^user         ada$`, r.stdout)
			require.NotContains(t, r.stdout, "\x1b")
			shown := object(t, do("show", ada[0], "--json").stdout)
			require.Equal(t, ada[0], shown["handle"])
			require.Equal(t, "ada", shown["user"])
			require.NotEmpty(t, shown["values"])
			require.NotEmpty(t, shown["logged_in"])
			require.NotContains(t, shown, "id")

			r = do("end", ada[0])
			require.Equal(t, 2, r.code, "nobody can be asked")
			require.Contains(t, lastLine(r), "give --yes")
			r = do("end", ada[0], "--yes")
			require.Equal(t, "1 session ended\n", r.stdout, r.stderr)
			r = do("end", ada[0], "--yes")
			require.Equal(t, 1, r.code)
			require.Contains(t, lastLine(r), "no session has this handle")
			r = do("show", ada[0])
			require.Equal(t, 1, r.code)
			require.Contains(t, lastLine(r), "no session has this handle")
			require.JSONEq(t, `{"ended": 1}`, do("end", "--user", "ada", "--yes", "--json").stdout)
			require.Equal(t, "0 sessions ended\n", do("end", "--user", "ada").stdout, "there is nothing to ask")
			require.Len(t, listedSessions(t, do("list", "--json")), 2)
			r = do("list", "--user", "ada")
			require.Equal(t, 0, r.code)
			require.Empty(t, r.stdout)
			require.Contains(t, r.stderr, "no such sessions")
		})
	}
}

func (s *sessionServer) logIns(t *testing.T) {
	t.Helper()
	for _, user := range logIns {
		in := map[string]any{"id": "", "set": map[string]any{"basket": []string{"tea"}}}
		if user != "" {
			in["log_in"] = map[string]any{"user": user}
		}
		text, err := json.Marshal(in)
		require.NoError(t, err)
		s.ask(t, "/v1/commit", "%s", text)
	}
}

// TestSessionsSealed: without the secret, sessions cannot be seen, and nothing is harmed.
func TestSessionsSealed(t *testing.T) {
	k := keptIn{Settings: engines.Settings{Storage: "memory", Dir: filepath.Join(t.TempDir(), "d")}, secret: oldSecret}
	k.fill(t, 4)
	want, _ := k.content(t)
	r := run(t, nil, "sessions", "list", "--dir", k.Dir)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.stderr, "records could not be read")
	require.Contains(t, r.stderr, "no keyring is set")
	found, _ := k.content(t)
	require.Equal(t, want, found)
}

// TestSessionsAsksTheRightQuestion at a terminal: see TestConfirm. Here the program is
// given what it cannot do.
func TestSessionsRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	for _, c := range []struct {
		name     string
		settings []string
		args     []string
		says     []string
	}{
		{"no action", nil, nil, []string{"count, list, show or end"}},
		{"unknown action", nil, []string{"lists"}, []string{`"lists"`, "count, list, show or end"}},
		{"no place", nil, []string{"count"}, []string{"--dir DIR, --storage URL, --server ADDR"}},
		{"no handle", nil, []string{"show", "--dir", dir}, []string{"waddle sessions show HANDLE"}},
		{"handle and user", nil, []string{"end", "x", "--user", "ada"}, []string{"not both"}},
		{"too much", nil, []string{"list", "x"}, []string{"list takes no more arguments, got x"}},
		{"empty directory", nil, []string{"count", "--dir", dir}, []string{"has no file that names its engine", "keyfolder:" + dir}},
		{"no directory", nil, []string{"count", "--dir", dir + "/x"}, []string{"there is no directory"}},
		{"a file", nil, []string{"count", "--dir", file}, []string{"is no directory"}},
		{"engine without a directory", []string{"SESSION_STORAGE=dynfile"}, []string{"count"}, []string{"--dir and SESSION_DIR are not set"}},
		{"two places", nil, []string{"count", "--dir", dir, "--server", "unix:x"}, []string{"leave one of them out"}},
		{"limit of a count", nil, []string{"count", "--limit", "3"}, []string{"--limit and --sort are for list"}},
		{"limit below none", nil, []string{"list", "--limit", "-1"}, []string{"--limit is -1"}},
		{"unknown order", nil, []string{"list", "--sort", "x"}, []string{`"x": must be created, last-seen`}},
		{"yes to a list", nil, []string{"list", "--yes"}, []string{"--yes is for end"}},
		{"user of one", nil, []string{"show", "x", "--user", "ada"}, []string{"--user has no effect"}},
		{"tenant of nobody", nil, []string{"list", "--tenant", "alice"}, []string{"are for --server"}},
		{"token of nobody", nil, []string{"list", "--server", "unix:x", "--token-file", file}, []string{"--token-file is for --tenant"}},
		{"no token", nil, []string{"list", "--server", "http://127.0.0.1:1", "--tenant", "alice"}, []string{"WADDLE_ADMIN_TOKEN_FILE"}},
		{"open serve", nil, []string{"list", "--server", "http://127.0.0.1:1"}, []string{"must be unix:PATH or https://HOST:PORT"}},
		{"no address", nil, []string{"list", "--server", "127.0.0.1:1"}, []string{`"127.0.0.1:1": must be unix:PATH or https://HOST:PORT`}},
		{"no path", nil, []string{"list", "--server", "unix:"}, []string{"must be unix:PATH"}},
		{"half a certificate", nil, []string{"list", "--server", "https://127.0.0.1:1", "--tls-cert", file}, []string{"a certificate and its key go together"}},
		{"no certificate", nil, []string{"list", "--server", "https://127.0.0.1:1", "--server-ca", file}, []string{"has no certificate"}},
		{"migrate without places", nil, []string{"migrate", "--from", "x"}, []string{"--from or --to is missing"}},
		{"migrate to nothing", nil, []string{"migrate", "--from", "memory:" + dir, "--to", dir + "/new"}, []string{"--to: there is no directory"}},
		{"migrate from nothing", nil, []string{"migrate", "--from", "memory:" + dir + "/x", "--to", "dynfile:" + dir + "/new"}, []string{"--from: there is no directory"}},
		{"migrate to itself", nil, []string{"migrate", "--from", "memory:" + dir, "--to", "dynfile:" + dir}, []string{"must be two places"}},
		{"migrate to another kind of server", nil, []string{"migrate", "--from", "memory:" + dir, "--to", "mysql://a:s3cr3t@b"}, []string{`"mysql://…" is not a place`}},
		{"migrate to an unknown codec", nil, []string{"migrate", "--from", "memory:" + dir, "--to", "dynfile:" + dir + "/n", "--codec", "xml"}, []string{"must be cbor or json"}},
		{"migrate without a secret", nil, []string{"migrate", "--from", "memory:" + dir, "--to", "dynfile:" + dir + "/n", "--unseal"}, []string{"--unseal needs the secret"}},
		{"migrate to three shards", nil, []string{"migrate", "--from", "memory:" + dir, "--to", "dynfile:" + dir + "/n", "--shards", "3"}, []string{"must be a power of two"}},
		{"migrate text", nil, []string{"migrate", "--from", "memory:" + dir, "--to", "dynfile:" + dir + "/n", "--as-text"}, []string{"--as-text has no effect without --codec json"}},
		{"migrate with a short secret", nil, []string{"migrate", "--from", "memory:" + dir, "--to", "dynfile:" + dir + "/n", "--new-secret-file", file}, []string{"--new-secret-file: ", "must have at least 32"}},
		{"migrate what", nil, []string{"migrate", "x"}, []string{"migrate takes flags only, got x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			if len(args) == 0 || args[0] != "migrate" {
				args = append([]string{"sessions"}, args...)
			}
			r := run(t, c.settings, args...)
			require.Equal(t, 2, r.code, "%s%s", r.stdout, r.stderr)
			for _, says := range c.says {
				require.Contains(t, lastLine(r), says)
			}
			require.NotContains(t, r.stderr, "s3cr3t")
		})
	}
	require.NoDirExists(t, filepath.Join(dir, "n"))
	require.NoDirExists(t, filepath.Join(dir, "new"))
}

// TestSessionsOfARunningPlayground: a directory is not touched while a program has it.
func TestSessionsOfARunningPlayground(t *testing.T) {
	needsSignals(t)
	dir := t.TempDir()
	s := serve(t, []string{"SESSION_STORAGE=dynfile", "SESSION_DIR=" + dir}, "--addr", "127.0.0.1:0")
	for _, args := range [][]string{{"sessions", "list", "--dir", dir}, {"migrate", "--from", dir, "--to", "memory:" + dir + "2"}} {
		r := run(t, nil, args...)
		require.Equal(t, 1, r.code)
		require.Contains(t, lastLine(r), fmt.Sprintf("in use by process %d", s.cmd.Process.Pid))
	}
	require.NoFileExists(t, dir+"2.migration")
	s.stop(t, syscall.SIGTERM)
}
