package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestVary: every form of access sets Vary, and nothing else does.
func TestVary(t *testing.T) {
	for name, f := range map[string]func(s *session.Session){
		"get":            func(s *session.Session) { _, _ = s.Get("a", new(int)) },
		"has":            func(s *session.Session) { _, _ = s.Has("a") },
		"keys":           func(s *session.Session) { _, _ = s.Keys() },
		"len":            func(s *session.Session) { _, _ = s.Len() },
		"exists":         func(s *session.Session) { _, _ = s.Exists() },
		"id":             func(s *session.Session) { _, _ = s.ID() },
		"created":        func(s *session.Session) { _, _ = s.Created() },
		"expires":        func(s *session.Session) { _, _ = s.Expires() },
		"set":            func(s *session.Session) { _ = s.Set("a", 1) },
		"delete":         func(s *session.Session) { _ = s.Delete("a") },
		"pop":            func(s *session.Session) { _, _ = s.Pop("a", new(int)) },
		"clear":          func(s *session.Session) { _ = s.Clear() },
		"destroy":        func(s *session.Session) { _ = s.Destroy() },
		"renew":          func(s *session.Session) { _ = s.Renew() },
		"set modified":   func(s *session.Session) { s.SetModified() },
		"set expiry":     func(s *session.Session) { _ = s.SetExpiry(hour) },
		"expiry time":    func(s *session.Session) { s.SetExpiryTime(s0.Add(hour)) },
		"reset expiry":   func(s *session.Session) { s.ResetExpiry() },
		"browser close":  func(s *session.Session) { s.SetPersistence(session.EndWithBrowser) },
		"typed get":      func(s *session.Session) { _, _ = session.NewKey[int]("a").Get(s) },
		"value":          func(s *session.Session) { session.NewKey[int]("a").Value(s) },
		"put":            func(s *session.Session) { session.NewKey[int]("a").Put(s, 1) },
		"value of user":  func(s *session.Session) { session.Value(s, s.User) },
		"typed update":   func(s *session.Session) { _, _ = session.NewKey[int]("a").Update(s, plusOne) },
		"failing update": func(s *session.Session) { _, _ = session.NewKey[int]("a").Update(s, failing) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			id := a.login("ada")
			for _, cookies := range [][]string{nil, {"session_id=" + id}} {
				got := a.with(cookies, f)
				require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
				require.Contains(t, got.Header.Get("Cache-Control"), "private")
			}
		})
	}
	for name, f := range map[string]func(s *session.Session){
		"nothing":    func(*session.Session) {},
		"modified":   func(s *session.Session) { _ = s.Modified() },
		"empty save": func(s *session.Session) { _ = s.Save() },
	} {
		t.Run("none for "+name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			got := a.with([]string{"session_id=" + a.login("ada")}, f)
			for _, header := range []string{"Vary", "Cache-Control", "Set-Cookie"} {
				require.Empty(t, got.Header[header], header)
			}
		})
	}
}

func plusOne(n int) (int, error) { return n + 1, nil }
func failing(n int) (int, error) { return 0, errFault }

// TestHeadersOfTheHandlerAreKept: the handler's caching headers stay, unless
// they would give one visitor's cookie to another.
func TestHeadersOfTheHandlerAreKept(t *testing.T) {
	for _, c := range []struct {
		name         string
		header       http.Header
		read, write  []string // Cache-Control after an access, and for a new session
		vary         []string
		cookiesAsked bool
	}{
		{"nothing", nil, []string{"private"}, []string{"private, no-store"}, []string{"Cookie"}, false},
		{"no-store", http.Header{"Cache-Control": {"no-store"}}, []string{"no-store"}, []string{"no-store"}, []string{"Cookie"}, false},
		{"private", http.Header{"Cache-Control": {"Private, max-age=60"}}, []string{"Private, max-age=60"}, []string{"Private, max-age=60"}, []string{"Cookie"}, false},
		{"public", http.Header{"Cache-Control": {"public, max-age=60"}}, []string{"public, max-age=60"}, []string{"public, max-age=60", `no-cache="Set-Cookie"`}, []string{"Cookie"}, false},
		{"vary on something else", http.Header{"Vary": {"Accept"}}, []string{"private"}, []string{"private, no-store"}, []string{"Accept", "Cookie"}, false},
		{"vary on cookie", http.Header{"Vary": {"Accept, cookie"}}, []string{"private"}, []string{"private, no-store"}, []string{"Accept, cookie"}, false},
		{"vary on everything", http.Header{"Vary": {"*"}}, []string{"private"}, []string{"private, no-store"}, []string{"*"}, false},
		{"vary on a longer name", http.Header{"Vary": {"X-Cookie"}}, []string{"private"}, []string{"private, no-store"}, []string{"X-Cookie", "Cookie"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			for _, write := range []bool{false, true} {
				got := a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
					for name, lines := range c.header {
						w.Header()[name] = append([]string(nil), lines...)
					}
					s := session.From(r)
					_, err := s.Has("a")
					require.NoError(t, err)
					if write {
						require.NoError(t, s.Set("a", 1))
					}
				})
				if write {
					require.Equal(t, c.write, got.Header["Cache-Control"])
				} else {
					require.Equal(t, c.read, got.Header["Cache-Control"])
				}
				require.Equal(t, c.vary, got.Header["Vary"])
			}
		})
	}
}

// TestStorageThatFails: the default answers, on load and on commit, depend on
// the kind of error. The handler's own answer and its headers are gone.
func TestStorageThatFails(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{store.ErrUnavailable, 503},
		{store.ErrClosed, 503},
		{fmt.Errorf("with detail: %w", store.ErrUnavailable), 503},
		{store.ErrNoSpace, 503},
		{fmt.Errorf("with detail: %w", store.ErrNoSpace), 503},
		{store.ErrDenied, 503},
		{store.ErrInvalid, 500},
		{store.ErrTooLarge, 500},
		{store.ErrUnsupported, 500},
		{store.ErrInternal, 500},
		{errors.New("anything else"), 500},
	} {
		for _, when := range []string{"get", "set"} {
			status := c.status
			if when == "set" && errors.Is(c.err, store.ErrTooLarge) {
				status = http.StatusInsufficientStorage // it is the session that is too large
			}
			t.Run(fmt.Sprintf("%v at %s", c.err, when), func(t *testing.T) {
				overProtocols(t, func(t *testing.T, http2 bool) {
					asked := 0
					var s *site
					s = newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
						asked++
						h := w.Header()
						h.Set("Content-Type", "application/json")
						h.Set("Content-Length", "1000")
						h.Set("Content-Encoding", "gzip")
						h.Set("Content-Disposition", "attachment")
						h.Set("Content-Language", "pl")
						h.Set("Etag", `"1"`)
						h.Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
						h.Set("Cache-Control", "public, max-age=3600")
						h.Set("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
						h.Set("Location", "/admin")
						h.Set("X-Other", "kept")
						if _, err := session.From(r).Has("user"); err != nil {
							require.ErrorIs(t, err, c.err)
							s.manager.WriteError(w, r, err)
							return
						}
						require.NoError(t, session.From(r).Set("n", 1))
						_, err := io.WriteString(w, "this must not be seen")
						require.ErrorIs(t, err, c.err)
						w.WriteHeader(200)
						require.ErrorIs(t, http.NewResponseController(w).Flush(), c.err)
						_, err = w.(io.ReaderFrom).ReadFrom(nil)
						require.ErrorIs(t, err, c.err)
						if _, _, err = http.NewResponseController(w).Hijack(); http2 {
							require.ErrorIs(t, err, http.ErrNotSupported)
						} else {
							require.ErrorIs(t, err, c.err)
						}
					})
					id := s.login("ada")
					s.store.fail(on(when, c.err), nil)
					got := s.get(id)
					s.store.fail(nil, nil)
					require.Equal(t, status, got.StatusCode)
					require.NotContains(t, got.body, "seen")
					require.NotContains(t, got.body, "ada")
					require.NotEmpty(t, got.body)
					require.Equal(t, status == 503, got.Header.Get("Retry-After") == "1")
					require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
					require.Equal(t, "text/plain; charset=utf-8", got.Header.Get("Content-Type"))
					require.Equal(t, "kept", got.Header.Get("X-Other"))
					require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
					for _, name := range []string{"Content-Encoding", "Content-Disposition", "Content-Language", "Etag", "Last-Modified", "Expires", "Location", "Set-Cookie"} {
						require.Empty(t, got.Header[name], name)
					}
					require.Equal(t, 1, asked)
					require.Equal(t, "ada", s.peek(id))
					ok, err := s.manager.Session(context.Background(), id).Has("n")
					require.NoError(t, err)
					require.False(t, ok)
				})
			})
		}
	}
}

// TestSavedCookieSurvivesALaterFailure: the first id of a session that was
// stored and renewed is dead, so the browser must get the new one.
func TestSavedCookieSurvivesALaterFailure(t *testing.T) {
	a := newApp(t, store.NewMemory())
	b := a.browser()
	b.set("user", "ada")
	got := b.do(func(s *session.Session) {
		require.NoError(t, s.Renew())
		require.NoError(t, s.Save())
		require.NoError(t, s.Set("n", 1))
		a.store.fail(on("set", store.ErrUnavailable), nil)
	})
	a.store.fail(nil, nil)
	require.Equal(t, 503, got.StatusCode)
	require.Equal(t, map[string]any{"user": "ada"}, b.values())
}

func TestOnError(t *testing.T) {
	var seen []error
	a := newApp(t, store.NewMemory(), func(s *session.Settings) {
		s.OnError = func(w http.ResponseWriter, r *http.Request, err error) {
			seen = append(seen, err)
			w.Header().Set("X-Path", r.URL.Path)
			w.WriteHeader(http.StatusTeapot)
		}
	})
	a.store.fail(on("set", store.ErrNoSpace), nil)
	got := a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r).Set("user", "ada"))
		w.WriteHeader(201)
	})
	require.Equal(t, http.StatusTeapot, got.StatusCode)
	require.NotEmpty(t, got.Header.Get("X-Path"))
	require.Len(t, seen, 1, "once")
	require.ErrorIs(t, seen[0], store.ErrNoSpace)
}

// TestCorruptRecord: a corrupt record is a fresh session and an event, not a
// permanent error.
func TestCorruptRecord(t *testing.T) {
	good := func(t *testing.T, a *app, id string) []byte {
		b, err := a.store.Store.Get(context.Background(), []byte(storageKeyOf(id)), store.At(a.clock.Now()))
		require.NoError(t, err)
		return b
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":              func([]byte) []byte { return nil },
		"only a revision":    func(b []byte) []byte { return b[:8] },
		"header cut off":     func(b []byte) []byte { return b[:71] },
		"value cut off":      func(b []byte) []byte { return b[:len(b)-1] },
		"a byte too many":    func(b []byte) []byte { return append(b, 0) },
		"another form":       func(b []byte) []byte { b[8] = 9; return b },
		"unknown flags":      func(b []byte) []byte { b[10] = 0x80; return b },
		"reserved bits":      func(b []byte) []byte { b[11] = 2; return b },
		"bad browser":        func(b []byte) []byte { b[10] = 6; return b },
		"bad transport":      func(b []byte) []byte { b[10] = 3 << 3; return b },
		"bad state":          func(b []byte) []byte { b[10] = 3 << 5; return b },
		"moved to nowhere":   func(b []byte) []byte { b[10] = 2 << 5; return b },
		"count of values":    func(b []byte) []byte { b[12]++; return b },
		"revision zero":      func(b []byte) []byte { clear(b[:8]); return b },
		"revision negative":  func(b []byte) []byte { b[7] = 0xff; return b },
		"never expires":      func(b []byte) []byte { clear(b[48:56]); return b },
		"value beyond":       func(b []byte) []byte { b[72+5] = 0xff; return b },
		"a name of no bytes": func(b []byte) []byte { b[72] = 0; return b },
	} {
		t.Run(name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				b := a.browser()
				b.set("user", "ada")
				id := b.id()
				require.NoError(t, s.Set(context.Background(), store.Write{
					Key: []byte(storageKeyOf(id)), Value: damage(good(t, a, id)), Now: store.At(a.clock.Now()),
				}))
				a.kinds()
				require.Equal(t, map[string]any{}, b.values())
				events := a.takeEvents()
				require.Len(t, events, 1)
				require.Equal(t, session.EventCorrupt, events[0].Kind)
				require.ErrorIs(t, events[0].Err, session.ErrDecode)
				b.set("user", "ada again")
				require.NotEqual(t, id, b.id())
				require.Equal(t, map[string]any{"user": "ada again"}, b.values())
			})
		})
	}
	t.Run("as the store has it", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		id := a.login("ada")
		a.kinds()
		a.store.fail(on("get", store.ErrCorrupt), nil)
		got := a.with([]string{"session_id=" + id}, func(s *session.Session) {
			ok, err := s.Has("user")
			require.NoError(t, err)
			require.False(t, ok)
		})
		require.Equal(t, 200, got.StatusCode)
		require.Equal(t, []session.EventKind{session.EventCorrupt}, a.kinds())
	})
}
