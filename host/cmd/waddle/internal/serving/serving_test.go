package serving_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// patience bounds every wait of a test. It measures nothing.
const patience = time.Minute

// overStores runs a test over the native store and over a WebAssembly engine.
func overStores(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Run("native", func(t *testing.T) { f(t, store.NewMemory()) })
	t.Run("memory engine", func(t *testing.T) {
		s, err := memory.Open(t.Context(), plugin.Config{Logger: slog.New(slog.DiscardHandler), SweepInterval: -1})
		require.NoError(t, err)
		f(t, s)
	})
}

// served is a service on a unix socket, as its clients see it.
type served struct {
	clients, operator *http.Client
	clock             *sessiontest.Clock
	log               *bytes.Buffer
	socket            string
	end               func() error
}

type option func(*serving.Config)

func settings(change func(*session.Settings)) option {
	return func(c *serving.Config) { change(&c.Settings) }
}

// over serves a store, which it closes at the end.
func over(t *testing.T, s store.Store, options ...option) *served {
	t.Helper()
	clock := new(sessiontest.Clock)
	b := &syncBuffer{}
	c := serving.Config{Store: s, Settings: session.Settings{Now: clock.Now}, Version: "v9", Log: slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, o := range options {
		o(&c)
	}
	service, err := serving.New(c)
	require.NoError(t, err)
	dir := socketDir(t)
	var listeners [2]net.Listener
	for i, name := range []string{"c", "o"} {
		listeners[i], err = serving.ListenUnix(t.Context(), filepath.Join(dir, name), 0o600)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served1 := make(chan error, 1)
	go func() {
		served1 <- (&serving.Server{Service: service, Store: s, Log: c.Log}).Serve(ctx, listeners[:1], listeners[1])
	}()
	one := &served{clients: overSocket(filepath.Join(dir, "c")), operator: overSocket(filepath.Join(dir, "o")), clock: clock, log: &b.b, socket: filepath.Join(dir, "c")}
	one.end = sync.OnceValue(func() error {
		cancel()
		one.clients.CloseIdleConnections()
		one.operator.CloseIdleConnections()
		return <-served1
	})
	t.Cleanup(func() { require.NoError(t, one.end()) })
	return one
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// socketDir returns a directory whose path is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "w")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func overSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		MaxIdleConnsPerHost: 64,
	}, Timeout: patience}
}

// one is a session as clients see it.
type one struct {
	ID          string                     `json:"id"`
	Revision    uint64                     `json:"revision"`
	User        string                     `json:"user"`
	PublicID    string                     `json:"public_id"`
	Created     time.Time                  `json:"created"`
	LastSeen    time.Time                  `json:"last_seen"`
	Expires     time.Time                  `json:"expires"`
	CookieUntil *time.Time                 `json:"cookie_until"`
	Persistence string                     `json:"persistence"`
	Values      map[string]json.RawMessage `json:"values"`
}

// answer is any answer.
type answer struct {
	Found    *bool           `json:"found"`
	Session  *one            `json:"session"`
	Merged   bool            `json:"merged"`
	Ended    json.RawMessage `json:"ended"`
	Expires  time.Time       `json:"expires"`
	Revision uint64          `json:"revision"`
	Sessions json.RawMessage `json:"sessions"`
	More     bool            `json:"more"`
	Error    *struct {
		Code       string `json:"code"`
		Message    string `json:"message"`
		RetryAfter int    `json:"retry_after_ms"`
		Session    *one   `json:"session"`
	} `json:"error"`
}

// post sends a body to a path.
func post(client *http.Client, path, body string) (status int, text []byte, a answer, err error) {
	r, err := client.Post("http://waddle"+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, nil, a, err
	}
	defer r.Body.Close()
	if text, err = io.ReadAll(r.Body); err != nil {
		return 0, nil, a, err
	}
	return r.StatusCode, text, a, json.Unmarshal(text, &a)
}

// ask sends a body and wants a status.
func (s *served) ask(t *testing.T, want int, path, form string, args ...any) answer {
	t.Helper()
	client := s.clients
	if strings.HasPrefix(path, "/v1/admin/") {
		client = s.operator
	}
	body := fmt.Sprintf(form, args...)
	status, text, a, err := post(client, path, body)
	require.NoError(t, err)
	require.Equal(t, want, status, "%s: %s", body, text)
	return a
}

func values(o *one) map[string]string {
	all := make(map[string]string)
	for name, v := range o.Values {
		all[name] = string(v)
	}
	return all
}

func TestLifeOfASession(t *testing.T) {
	overStores(t, func(t *testing.T, st store.Store) {
		s := over(t, st)
		made := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"n":1.50,"big":123456789012345678901234567890,"é\u00e9":{"a" : [null,"<\u2028>"]},"nil":null}}`)
		require.False(t, made.Merged)
		id := made.Session.ID
		require.Len(t, id, 43)
		want := map[string]string{"n": "1.50", "big": "123456789012345678901234567890", "éé": `{"a" : [null,"<\u2028>"]}`, "nil": "null"}
		require.Equal(t, want, values(made.Session), "each value is as it was sent")
		loaded := s.ask(t, 200, "/v1/load", `{"id":%q}`, id)
		require.True(t, *loaded.Found)
		require.Equal(t, made.Session, loaded.Session)
		require.Equal(t, "default", loaded.Session.Persistence)
		require.Equal(t, s.clock.Now().Add(7*24*time.Hour), loaded.Session.Expires)

		changed := s.ask(t, 200, "/v1/commit", `{"id":%q,"set":{"n":2},"delete":["big","nil","none"]}`, id)
		require.Equal(t, map[string]string{"n": "2", "éé": want["éé"]}, values(changed.Session))
		require.Greater(t, changed.Session.Revision, made.Session.Revision)

		login := s.ask(t, 200, "/v1/commit", `{"id":%q,"set":{"m":3},"log_in":{"user":"ada","note":{"browser":"lynx"}}}`, id)
		require.NotEqual(t, id, login.Session.ID)
		require.Equal(t, "ada", login.Session.User)
		require.Equal(t, map[string]string{"n": "2", "m": "3", "éé": want["éé"]}, values(login.Session), "they stay")
		require.False(t, *s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Found, "the old id")
		id = login.Session.ID

		renewed := s.ask(t, 200, "/v1/renew", `{"id":%q}`, id)
		require.Equal(t, "gone", s.ask(t, 410, "/v1/renew", `{"id":%q}`, id).Error.Code)
		require.Equal(t, login.Session.PublicID, renewed.Session.PublicID)
		again := s.ask(t, 200, "/v1/commit", `{"id":%q,"renew":true,"clear":true,"set":{"k":"v"}}`, renewed.Session.ID)
		require.NotEqual(t, renewed.Session.ID, again.Session.ID)
		require.Equal(t, map[string]string{"k": `"v"`}, values(again.Session))
		require.Empty(t, again.Session.User)
		id = again.Session.ID

		require.Equal(t, "true", string(s.ask(t, 200, "/v1/destroy", `{"id":%q}`, id).Ended))
		require.Equal(t, "false", string(s.ask(t, 200, "/v1/destroy", `{"id":%q}`, id).Ended))
		// An ended session is not brought back, and an id is not adopted.
		for _, id := range []string{id, strings.Repeat("A", 43), "mine"} {
			for _, more := range []string{"", `,"renew":true`, `,"log_in":{"user":"eve"}`, `,"on_conflict":"fail","revision":1`, `,"clear":true`} {
				require.Equal(t, "gone", s.ask(t, 410, "/v1/commit", `{"id":%q,"set":{"k":1}%s}`, id, more).Error.Code, more)
			}
			require.False(t, *s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Found)
			require.False(t, *s.ask(t, 200, "/v1/touch", `{"id":%q}`, id).Found)
		}
		require.Equal(t, `0`, string(s.ask(t, 200, "/v1/admin/count", `{}`).Sessions))
	})
}

func TestConflicts(t *testing.T) {
	overStores(t, func(t *testing.T, st store.Store) {
		s := over(t, st)
		first := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"a":1,"b":1}}`).Session
		s.ask(t, 200, "/v1/commit", `{"id":%q,"set":{"a":2}}`, first.ID)
		failed := s.ask(t, 409, "/v1/commit", `{"id":%q,"revision":%d,"on_conflict":"fail","set":{"a":3,"c":3}}`, first.ID, first.Revision)
		require.Equal(t, "conflict", failed.Error.Code)
		require.Equal(t, map[string]string{"a": "2", "b": "1"}, values(failed.Error.Session), "the newest, and nothing was stored")
		merged := s.ask(t, 200, "/v1/commit", `{"id":%q,"revision":%d,"set":{"b":3}}`, first.ID, first.Revision)
		require.True(t, merged.Merged)
		require.Equal(t, map[string]string{"a": "2", "b": "3"}, values(merged.Session))
		at := s.ask(t, 200, "/v1/commit", `{"id":%q,"revision":%d,"on_conflict":"fail","set":{"a":4}}`, first.ID, merged.Session.Revision)
		require.False(t, at.Merged)
		require.Equal(t, "4", values(at.Session)["a"])
		// The condition also holds where the session gets a new id.
		for _, more := range []string{`"renew":true`, `"log_in":{"user":"ada"}`, `"clear":true`, `"expiry":{"persistence":"browser"}`} {
			s.ask(t, 409, "/v1/commit", `{"id":%q,"revision":%d,"on_conflict":"fail",%s}`, at.Session.ID, at.Session.Revision-1, more)
		}
		require.Equal(t, at.Session, s.ask(t, 200, "/v1/load", `{"id":%q}`, at.Session.ID).Session)
		renewed := s.ask(t, 200, "/v1/commit", `{"id":%q,"revision":%d,"on_conflict":"fail","log_in":{"user":"ada"}}`, at.Session.ID, at.Session.Revision)
		require.Equal(t, "ada", renewed.Session.User)
		require.False(t, renewed.Merged)
	})
}

// TestNoChangeIsLost of several clients at once: those that change values of their own
// are merged, and those that count in one value try again.
func TestNoChangeIsLost(t *testing.T) {
	overStores(t, func(t *testing.T, st store.Store) {
		s := over(t, st)
		id := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"n":0}}`).Session.ID
		const clients, times = 6, 8
		var wait sync.WaitGroup
		for i := range clients {
			wait.Go(func() {
				for j := range times {
					if status, text, _, err := post(s.clients, "/v1/commit", fmt.Sprintf(`{"id":%q,"set":{"own %d %d":true}}`, id, i, j)); err != nil || status != 200 {
						t.Errorf("found %d, %s, %v", status, text, err)
					}
				}
				for done := 0; done < times; {
					_, _, now, err := post(s.clients, "/v1/load", fmt.Sprintf(`{"id":%q}`, id))
					if err != nil {
						t.Error(err)
						return
					}
					var n int
					_ = json.Unmarshal(now.Session.Values["n"], &n)
					status, text, _, err := post(s.clients, "/v1/commit", fmt.Sprintf(`{"id":%q,"revision":%d,"on_conflict":"fail","set":{"n":%d}}`, id, now.Session.Revision, n+1))
					switch {
					case err == nil && status == 200:
						done++
					case err != nil || status != 409:
						t.Errorf("found %d, %s, %v", status, text, err)
						return
					}
				}
			})
		}
		wait.Wait()
		last := s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session
		require.Equal(t, fmt.Sprint(clients*times), string(last.Values["n"]))
		require.Len(t, last.Values, 1+clients*times)
	})
}

func TestExpiry(t *testing.T) {
	s := over(t, store.NewMemory(), settings(func(c *session.Settings) { c.Lifetime, c.IdleTimeout = 2*time.Hour, 30*time.Minute }))
	made := s.ask(t, 200, "/v1/commit", `{"id":""}`).Session
	start := s.clock.Now()
	require.Equal(t, start.Add(30*time.Minute), made.Expires)
	require.Equal(t, start.Add(2*time.Hour), *made.CookieUntil)
	s.clock.Advance(10 * time.Minute)
	require.Equal(t, made.Expires, s.ask(t, 200, "/v1/load", `{"id":%q,"touch":false}`, made.ID).Session.Expires)
	seen := s.ask(t, 200, "/v1/load", `{"id":%q}`, made.ID).Session
	require.Equal(t, start.Add(40*time.Minute), seen.Expires)
	require.Greater(t, seen.Revision, made.Revision)
	s.clock.Advance(10 * time.Minute)
	require.Equal(t, start.Add(50*time.Minute), s.ask(t, 200, "/v1/touch", `{"id":%q}`, made.ID).Expires)

	own := s.ask(t, 200, "/v1/commit", `{"id":%q,"expiry":{"idle_timeout_ms":-1,"lifetime_ms":36000000,"persistence":"browser"}}`, made.ID).Session
	require.Equal(t, s.clock.Now().Add(10*time.Hour), own.Expires)
	require.Nil(t, own.CookieUntil)
	require.Equal(t, "browser", own.Persistence)
	end := s.clock.Now().Add(3 * time.Hour).UTC()
	fixed := s.ask(t, 200, "/v1/commit", `{"id":%q,"expiry":{"expires":%q,"persistence":"persist"}}`, made.ID, end.Format(time.RFC3339Nano)).Session
	require.Equal(t, end, fixed.Expires)
	require.Equal(t, end, *fixed.CookieUntil)
	back := s.ask(t, 200, "/v1/commit", `{"id":%q,"expiry":{"reset":true}}`, made.ID).Session
	require.Equal(t, s.clock.Now().Add(30*time.Minute), back.Expires)
	require.Equal(t, "default", back.Persistence)
	s.clock.Advance(time.Hour)
	require.False(t, *s.ask(t, 200, "/v1/load", `{"id":%q}`, made.ID).Found)

	for body, says := range map[string]string{
		`{"id":"","expiry":{"lifetime_ms":1}}`:                                     "from 1s",
		`{"id":"","expiry":{"lifetime_ms":-2}}`:                                    "milliseconds",
		`{"id":"","expiry":{"lifetime_ms":5000,"expires":"2027-01-01T00:00:00Z"}}`: "both given",
		`{"id":"","expiry":{"expires":"2020-01-01T00:00:00Z"}}`:                    "has passed",
		`{"id":"","expiry":{"expires":"tomorrow"}}`:                                "must be a time",
		`{"id":"","expiry":{"persistence":""}}`:                                    "default, browser or persist",
		`{"id":"","expiry":{"persistence":"ever"}}`:                                "default, browser or persist",
		`{"id":"","expiry":{"idle_timeout_ms":9223372036854775807}}`:               "milliseconds",
		`{"id":"","expiry":{"lifetime_ms":86400000}}`:                              "change that by idle_timeout_ms first",
		`{"id":"","expiry":{"absolute_timeout_ms":60000,"lifetime_ms":3600000}}`:   "AbsoluteTimeout",
		`{"id":"","expiry":{"absolute_timeout_ms":"1h"}}`:                          "is a string",
		`{"id":"","expiry":[]}`:                                                    "is an array",
		`{"id":"","expiry":{"ttl":1}}`:                                             `has "ttl"`,
	} {
		a := s.ask(t, 400, "/v1/commit", "%s", body)
		require.Equal(t, "bad_request", a.Error.Code)
		require.Contains(t, a.Error.Message, says, body)
	}
}

// TestModified: only a commit that says so begins the life of a session anew without a
// change.
func TestModified(t *testing.T) {
	s := over(t, store.NewMemory(), settings(func(c *session.Settings) { c.Lifetime = 2 * time.Hour }))
	made := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"a":1}}`).Session
	s.clock.Advance(time.Hour)
	for _, body := range []string{`{"id":%q}`, `{"id":%q,"modified":false}`, `{"id":%q,"set":{},"delete":[]}`} {
		looked := s.ask(t, 200, "/v1/commit", body, made.ID)
		require.Equal(t, made.Expires, looked.Session.Expires, body)
		require.Equal(t, made.Revision, looked.Session.Revision, body)
	}
	again := s.ask(t, 200, "/v1/commit", `{"id":%q,"modified":true}`, made.ID)
	require.False(t, again.Merged)
	require.Equal(t, s.clock.Now().Add(2*time.Hour), again.Session.Expires)
	require.Equal(t, again.Session.Expires, *again.Session.CookieUntil)
	require.Greater(t, again.Session.Revision, made.Revision)
	require.Equal(t, made.Values, again.Session.Values)

	s.ask(t, 409, "/v1/commit", `{"id":%q,"revision":%d,"on_conflict":"fail","modified":true}`, made.ID, made.Revision)
	end := s.clock.Now().Add(time.Hour).UTC()
	own := s.ask(t, 200, "/v1/commit", `{"id":%q,"modified":true,"expiry":{"expires":%q}}`, made.ID, end.Format(time.RFC3339Nano)).Session
	require.Equal(t, end, own.Expires, "an end of its own is kept")
	s.ask(t, 200, "/v1/destroy", `{"id":%q}`, made.ID)
	require.Equal(t, "gone", s.ask(t, 410, "/v1/commit", `{"id":%q,"modified":true}`, made.ID).Error.Code)
}

// TestValuesOfGo: Go programs and others share sessions, also those that Go programs
// wrote as CBOR before.
func TestValuesOfGo(t *testing.T) {
	st := store.NewMemory()
	clock := new(sessiontest.Clock)
	before, err := session.New(st, session.Settings{Now: clock.Now})
	require.NoError(t, err)
	old := before.Session(t.Context(), "")
	require.NoError(t, old.Set("at", time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)))
	require.NoError(t, old.Set("bytes", []byte{1, 2, 3}))
	require.NoError(t, old.Save())
	id, err := old.ID()
	require.NoError(t, err)

	s := over(t, st)
	loaded := s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session
	require.Equal(t, map[string]string{"at": `"2026-05-04T03:02:01Z"`, "bytes": `"AQID"`}, values(loaded))
	s.ask(t, 200, "/v1/commit", `{"id":%q,"set":{"n":7}}`, id)

	shared, err := session.FromEnv([]string{"SESSION_CODEC=json", "SESSION_READ_CODECS=cbor"})
	require.NoError(t, err)
	shared.Now = clock.Now
	after, err := session.New(st, shared)
	require.NoError(t, err)
	now := after.Session(t.Context(), id)
	n, at := session.NewKey[int]("n"), session.NewKey[time.Time]("at")
	require.Equal(t, 7, n.Value(now))
	require.Equal(t, 2026, at.Value(now).Year(), "it kept its type")
	require.NoError(t, now.Err())
	n.Put(now, 8)
	require.NoError(t, now.Save())
	require.Equal(t, "8", values(s.ask(t, 200, "/v1/load", `{"id":%q}`, id).Session)["n"])
}

// TestLogHasNoSecret: no id, value, name of a value or user is in the log.
func TestLogHasNoSecret(t *testing.T) {
	s := over(t, store.NewMemory())
	made := s.ask(t, 200, "/v1/commit", `{"id":"","set":{"s3cret-name":"s3cret-value"},"log_in":{"user":"s3cret-user"}}`).Session
	s.ask(t, 400, "/v1/commit", `{"id":%q,"s3cret":1}`, made.ID)
	s.ask(t, 400, "/v1/commit", `{"id":["s3cret"]}`)
	s.ask(t, 404, "/v1/"+made.ID, `{}`)
	s.ask(t, 400, "/v1/load?id="+made.ID, `{}`)
	s.ask(t, 410, "/v1/renew", `{"id":"s3cret"}`)
	require.NoError(t, s.end())
	log := s.log.String()
	require.Contains(t, log, "path=/v1/commit")
	require.Contains(t, log, "path=unknown")
	require.Contains(t, log, "status=404")
	if runtime.GOOS == "linux" {
		require.Contains(t, log, fmt.Sprintf(`client="uid %d"`, os.Getuid()))
	}
	require.NotContains(t, log, "s3cret")
	require.NotContains(t, log, made.ID)
}

// TestDestroyOfWhatCannotBeRead: a log-out also ends a session of which another program has the
// secret.
func TestDestroyOfWhatCannotBeRead(t *testing.T) {
	overStores(t, func(t *testing.T, st store.Store) {
		ours, err := session.NewKeyring("0123456789abcdefghijklmnopqrstuv")
		require.NoError(t, err)
		theirs, err := session.NewKeyring("vutsrqponmlkjihgfedcba9876543210")
		require.NoError(t, err)
		s := over(t, st, settings(func(s *session.Settings) { s.Keyring = ours }))
		other, err := session.New(st, session.Settings{Keyring: theirs, Codec: session.JSON, Now: s.clock.Now})
		require.NoError(t, err)
		made := other.Session(t.Context(), "")
		require.NoError(t, made.Set("k", 1))
		require.NoError(t, made.Save())
		id, err := made.ID()
		require.NoError(t, err)
		require.Equal(t, "false", string(s.ask(t, 200, "/v1/destroy", `{"id":%q}`, id).Ended))
		exists, err := other.Session(t.Context(), id).Exists()
		require.NoError(t, err)
		require.False(t, exists)
	})
}
