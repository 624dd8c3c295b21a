package session_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestCookieAttributes: each setting gives the cookie line that it should.
func TestCookieAttributes(t *testing.T) {
	const age = "Expires=Thu, 08 Jan 2026 00:00:00 GMT; Max-Age=604800; "
	for _, c := range []struct {
		name     string
		settings func(*session.Settings)
		line     string // behind name and value
	}{
		{"defaults", func(*session.Settings) {}, "Path=/; " + age + "HttpOnly; SameSite=Lax"},
		{"path", func(s *session.Settings) { s.CookiePath = "/app" }, "Path=/app; " + age + "HttpOnly; SameSite=Lax"},
		{"domain", func(s *session.Settings) { s.CookieDomain = "example.org" }, "Path=/; Domain=example.org; " + age + "HttpOnly; SameSite=Lax"},
		{"secure", func(s *session.Settings) { s.CookieSecure = session.SecureAlways }, "Path=/; " + age + "HttpOnly; Secure; SameSite=Lax"},
		{"for scripts", func(s *session.Settings) { s.CookieScriptReadable = true }, "Path=/; " + age + "SameSite=Lax"},
		{"strict", func(s *session.Settings) { s.CookieSameSite = http.SameSiteStrictMode }, "Path=/; " + age + "HttpOnly; SameSite=Strict"},
		{"none", func(s *session.Settings) {
			s.CookieSameSite, s.CookieSecure = http.SameSiteNoneMode, session.SecureAlways
		}, "Path=/; " + age + "HttpOnly; Secure; SameSite=None"},
		{"partitioned", func(s *session.Settings) { s.CookiePartitioned, s.CookieSecure = true, session.SecureAlways }, "Path=/; " + age + "HttpOnly; Secure; SameSite=Lax; Partitioned"},
		{"lifetime", func(s *session.Settings) { s.Lifetime = time.Hour }, "Path=/; Expires=Thu, 01 Jan 2026 01:00:00 GMT; Max-Age=3600; HttpOnly; SameSite=Lax"},
		{"lifetime, rounded up", func(s *session.Settings) { s.Lifetime = time.Hour + ms }, "Path=/; Expires=Thu, 01 Jan 2026 01:00:01 GMT; Max-Age=3601; HttpOnly; SameSite=Lax"},
		{"absolute timeout", func(s *session.Settings) { s.AbsoluteTimeout = time.Hour }, "Path=/; Expires=Thu, 01 Jan 2026 01:00:00 GMT; Max-Age=3600; HttpOnly; SameSite=Lax"},
		{"idle timeout does not count", func(s *session.Settings) { s.IdleTimeout = time.Hour }, "Path=/; " + age + "HttpOnly; SameSite=Lax"},
		{"until the browser closes", func(s *session.Settings) { s.ExpireAtBrowserClose = true }, "Path=/; HttpOnly; SameSite=Lax"},
		{"name", func(s *session.Settings) { s.CookieName, s.CookieSecure = "__Host-id", session.SecureAlways }, "Path=/; " + age + "HttpOnly; Secure; SameSite=Lax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := "session_id"
			a := newApp(t, store.NewMemory(), c.settings, func(s *session.Settings) { name = s.CookieName })
			got := a.with(nil, func(s *session.Session) { require.NoError(t, s.Set("a", 1)) })
			lines := got.Header["Set-Cookie"]
			require.Len(t, lines, 1)
			value, rest, ok := strings.Cut(strings.TrimPrefix(lines[0], name+"="), "; ")
			require.True(t, ok)
			require.Equal(t, c.line, rest)
			require.Regexp(t, `^[A-Za-z0-9_-]{43}$`, value)

			// The same cookie, removed.
			got = a.with([]string{name + "=" + value}, func(s *session.Session) { require.NoError(t, s.Destroy()) })
			gone := got.Header["Set-Cookie"]
			require.Len(t, gone, 1)
			require.True(t, strings.HasPrefix(gone[0], name+"=; "), gone[0])
			require.Contains(t, gone[0], "Max-Age=0")
			for _, attribute := range strings.Split(c.line, "; ") {
				if !strings.HasPrefix(attribute, "Expires=") && !strings.HasPrefix(attribute, "Max-Age=") {
					require.Contains(t, gone[0], "; "+attribute)
				}
			}
		})
	}
}

// TestCookiesThatAreNotAdopted: a cookie under our name that we did not issue
// leads to a fresh session. The first write creates it under a fresh id, and
// reading creates nothing.
func TestCookiesThatAreNotAdopted(t *testing.T) {
	valid := strings.Repeat("A", 43) // well-formed, but nobody issued it
	for _, c := range []struct {
		name  string
		lines []string
		loads int // engine calls for a read
		event bool
	}{
		{"none", nil, 0, false},
		{"empty", []string{"session_id="}, 0, true},
		{"no value at all", []string{"session_id"}, 0, false},
		{"another name", []string{"session_idx=" + valid + "; xsession_id=" + valid + "; Session_id=" + valid}, 0, false},
		{"unknown", []string{"session_id=" + valid}, 1, false},
		{"too short", []string{"session_id=" + valid[1:]}, 0, true},
		{"too long", []string{"session_id=" + valid + "A"}, 0, true},
		{"last character not canonical", []string{"session_id=" + valid[1:] + "B"}, 0, true},
		{"alphabet of plain base64", []string{"session_id=" + valid[2:] + "+A"}, 0, true},
		{"padded", []string{"session_id=" + valid[1:] + "="}, 0, true},
		{"percent-encoded", []string{"session_id=%41" + valid[1:]}, 0, true},
		{"not ASCII", []string{"session_id=" + valid[2:] + "é"}, 0, true},
		{"path", []string{"session_id=../../../../../../../../etc/passwd/././././"}, 0, true},
		{"absolute path", []string{"session_id=/" + valid[1:]}, 0, true},
		{"dots", []string{"session_id=" + strings.Repeat(".", 43)}, 0, true},
		{"query", []string{"session_id=' OR 1=1 --"}, 0, true},
		{"quoted", []string{`session_id="` + valid + `"`}, 1, false},
		{"quoted twice", []string{`session_id=""` + valid + `""`}, 0, true},
		{"one quote", []string{`session_id="` + valid}, 0, true},
		{"spaces around", []string{"  session_id=" + valid + "  "}, 1, false},
		{"space before the value", []string{"session_id= " + valid}, 0, true},
		{"space in the value", []string{"session_id=" + valid[:20] + " " + valid[21:]}, 0, true},
		{"space before the sign", []string{"session_id =" + valid}, 0, false},
		{"the same twice", []string{"session_id=" + valid + "; session_id=" + valid}, 1, false},
		{"in two lines", []string{"session_id=" + valid, "session_id=" + valid[1:] + "E"}, 2, false},
		{"very many, all junk", []string{strings.Repeat("session_id=junk; ", 20000)}, 0, true},
		{"very many, all well-formed", []string{manyIDs(5000)}, 4, true},
		{"very long", []string{"session_id=" + strings.Repeat("A", 500_000)}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				got := a.with(c.lines, func(s *session.Session) {
					ok, err := s.Has("user")
					require.NoError(t, err)
					require.False(t, ok)
					exists, err := s.Exists()
					require.NoError(t, err)
					require.False(t, exists)
				})
				require.Equal(t, http.StatusOK, got.StatusCode)
				require.Empty(t, got.Header["Set-Cookie"])
				calls := a.store.take()
				require.Len(t, calls, c.loads)
				for _, o := range calls {
					require.Equal(t, "get", o.name)
				}
				if c.event {
					require.Equal(t, []session.EventKind{session.EventRejected}, a.kinds(), "one for all")
				} else {
					require.Empty(t, a.kinds())
				}

				got = a.with(c.lines, func(s *session.Session) { require.NoError(t, s.Set("user", "ada")) })
				require.NotNil(t, got.cookie())
				require.NotContains(t, strings.Join(c.lines, ";"), got.cookie().Value, "a fresh id")
				require.Equal(t, "ada", a.peek(got.cookie().Value))
				words := 0
				for _, o := range a.store.take() {
					if o.name == "set" && storageKeyOf(got.cookie().Value) != string(o.key) {
						words++
						require.Equal(t, store.Absent, o.expect, "word for other servers, where there was nothing")
					}
				}
				require.LessOrEqual(t, words, c.loads, "no more than ids that counted")
				a.with(c.lines, func(s *session.Session) {
					exists, err := s.Exists()
					require.NoError(t, err)
					require.False(t, exists, "word of a cookie is no session")
				})
			})
		})
	}
}

func manyIDs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "session_id=%039dAAAA; ", i)
	}
	return b.String()
}

// TestCandidates: of several well-formed cookies, the first that names a
// session counts, if it is among the first four.
func TestCandidates(t *testing.T) {
	unknown := func(n int) string {
		return strings.TrimSuffix(manyIDs(n), "; ")
	}
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		ada, bob := a.login("ada"), a.login("bob")
		for _, c := range []struct {
			name   string
			cookie string
			user   string
		}{
			{"alone", "session_id=" + ada, "ada"},
			{"first of two", "session_id=" + ada + "; session_id=" + bob, "ada"},
			{"behind one that is gone", unknown(1) + "; session_id=" + bob, "bob"},
			{"fourth", unknown(3) + "; session_id=" + bob, "bob"},
			{"fifth", unknown(4) + "; session_id=" + bob, ""},
			{"fifth, behind junk", "session_id=junk; " + unknown(3) + "; session_id=" + bob, "bob"},
			{"quoted", `session_id="` + ada + `"`, "ada"},
			{"without spaces", "a=b;session_id=" + ada + ";c=d", "ada"},
		} {
			t.Run(c.name, func(t *testing.T) {
				var user string
				a.with([]string{c.cookie}, func(s *session.Session) {
					_, err := s.Get("user", &user)
					require.NoError(t, err)
				})
				require.Equal(t, c.user, user)
			})
		}
	})
}

// TestExpiredIdIsNotRevived: under the id of an ended session nothing can be
// read, and nothing is ever stored again.
func TestExpiredIdIsNotRevived(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		id := a.login("ada")
		a.clock.Advance(7 * day)
		got := a.with([]string{"session_id=" + id}, func(s *session.Session) {
			ok, err := s.Has("user")
			require.NoError(t, err)
			require.False(t, ok)
			require.NoError(t, s.Set("n", 1))
		})
		require.NotNil(t, got.cookie())
		require.NotEqual(t, id, got.cookie().Value)
		require.Empty(t, a.peek(id))
	})
}

// TestNoIdLeavesTheHost searches everything that the store, the events and the
// log see during the life of some sessions for the ids. It also searches the
// events and the log for values, users' names and anything that leads to a
// record.
func TestNoIdLeavesTheHost(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })
	overStores(t, func(t *testing.T, s store.Store) {
		log.Reset()
		var events []session.Event
		loud := newApp(t, s, func(s *session.Settings) {
			verbose := session.LogEvents(nil)
			s.OnEvent = func(ctx context.Context, e session.Event) {
				events = append(events, e)
				verbose(ctx, e)
			}
		})
		logs := newApp(t, s, func(s *session.Settings) { s.OnEvent = nil })
		var ids []string
		for _, a := range []*app{loud, logs} {
			b := a.browser()
			b.set("user", "lovelace")
			ids = append(ids, b.id())
			b.do(func(s *session.Session) { require.NoError(t, s.Renew()) })
			ids = append(ids, b.id())
			b.do(func(s *session.Session) {
				require.NoError(t, s.LogIn("lovelace@example.org", map[string]string{"at": "noted"}))
			})
			ids = append(ids, b.id())
			b.do(func(s *session.Session) { // a value of another type, then a conflict
				_, _ = s.Get("user", new(int))
				other := a.manager.Session(context.Background(), b.id())
				require.NoError(t, other.Set("n", 1))
				require.NoError(t, other.Save())
				require.NoError(t, s.Set("m", 1))
				require.NoError(t, s.Save())
			})
			b.serve(func(w http.ResponseWriter, r *http.Request) { // a late failure
				_, _ = w.Write([]byte("x"))
				require.NoError(t, session.From(r).Set("big", make([]byte, 2<<20)))
			})
			b.do(func(s *session.Session) { // gone
				_, _ = s.Has("user")
				require.NoError(t, a.manager.Session(context.Background(), b.id()).Destroy())
				require.NoError(t, s.Set("m", 2))
			})
			raw := make([]byte, 80)
			raw[0] = 1
			corrupt := a.login("bob")
			require.NoError(t, s.Set(context.Background(), store.Write{Key: []byte(storageKeyOf(corrupt)), Value: raw, Now: clockStart}))
			require.Empty(t, a.peek(corrupt))
			ids = append(ids, corrupt, strings.Repeat("z", 44))
			a.with([]string{"session_id=" + ids[len(ids)-1]}, func(s *session.Session) { _, _ = s.Has("user") })
		}
		kinds := map[session.EventKind]bool{}
		var seen strings.Builder
		for _, e := range events {
			kinds[e.Kind] = true
			fmt.Fprintf(&seen, "%s %+v %v\n", e.Kind, e, e.Err)
		}
		told := seen.String() + log.String()
		for _, name := range []string{"lovelace", "noted"} {
			require.NotContains(t, told, name)
		}
		for _, kind := range []session.EventKind{session.EventCreated, session.EventRenewed, session.EventDestroyed, session.EventRejected, session.EventConflict, session.EventCorrupt, session.EventGone, session.EventFailed} {
			require.True(t, kinds[kind], "the test does not lead to %s", kind)
		}
		seen.WriteString(log.String())
		require.Contains(t, log.String(), "session gone")
		require.Contains(t, log.String(), "session corrupt")
		require.Contains(t, log.String(), "session failed")
		for _, o := range append(loud.store.take(), logs.store.take()...) {
			seen.Write(o.key)
			seen.Write(o.value)
		}
		for _, id := range ids {
			require.NotContains(t, seen.String(), id)
		}
		for _, id := range ids { // nor anything that would lead to the record
			require.NotContains(t, told, hex.EncodeToString([]byte(storageKeyOf(id)))[:16])
		}
	})
}

// TestEventsTellSessionsApart: events use the same label for the same session
// and different ones for different sessions.
func TestEventsTellSessionsApart(t *testing.T) {
	a := newApp(t, store.NewMemory())
	first, second := a.login("ada"), a.login("bob")
	require.NoError(t, a.manager.Session(context.Background(), first).Destroy())
	require.NoError(t, a.manager.Session(context.Background(), second).Destroy())
	events := a.takeEvents()
	require.Len(t, events, 4)
	require.Equal(t, events[0].Session, events[2].Session)
	require.Equal(t, events[1].Session, events[3].Session)
	require.NotEqual(t, events[0].Session, events[1].Session)
	require.Equal(t, "unknown", session.EventKind(0).String())
	require.Equal(t, "expired", session.EventExpired.String())
}

// FuzzCookie: no header leads to a panic, to another person's session, or to an
// id that we did not issue.
func FuzzCookie(f *testing.F) {
	id := strings.Repeat("A", 43)
	f.Add("session_id="+id, "")
	f.Add("session_id=\""+id+"\"; session_id=x", "session_id")
	f.Add(";;=;session_id==;session_id="+id+"=", "\x00")
	f.Add(manyIDs(6), " session_id\t=\t")
	sessions := store.NewMemory()
	settings := session.Defaults()
	settings.OnEvent = func(context.Context, session.Event) {}
	m, err := session.New(sessions, settings)
	if err != nil {
		f.Fatal(err)
	}
	victim := m.Session(context.Background(), "")
	if err := victim.Set("user", "victim"); err != nil {
		f.Fatal(err)
	}
	if err := victim.Save(); err != nil {
		f.Fatal(err)
	}
	victimID, err := victim.ID()
	if err != nil {
		f.Fatal(err)
	}
	victimKey := storageKeyOf(victimID)
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		if ok, err := s.Has("user"); ok || err != nil {
			panic(fmt.Sprint("a session from nowhere: ", err))
		}
		if err := s.Set("n", 1); err != nil {
			panic(err)
		}
	}))
	f.Fuzz(func(t *testing.T, first, second string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{first, second}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		cookies := w.Result().Cookies()
		require.Len(t, cookies, 1)
		require.Len(t, cookies[0].Value, 43)
		require.NotContains(t, first+second, cookies[0].Value)
		require.NoError(t, sessions.Delete(context.Background(), []byte(storageKeyOf(cookies[0].Value)), 0))
		for r, err := range sessions.Snapshot(context.Background(), 0) {
			if string(r.Key) == victimKey {
				continue
			}
			require.NoError(t, err)
			require.NotZero(t, r.Expires, "word for other servers does not stay")
			require.NoError(t, sessions.Delete(context.Background(), r.Key, 0))
		}
		require.Equal(t, 1, sessions.Len(), "the victim's")
	})
}
