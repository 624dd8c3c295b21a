package session_test

import (
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	lateName  = session.NewKey[string]("user")
	lateCount = session.NewKey[int]("count")
	lateFlash = session.NewFlash[string]("late")
)

// looks are all the ways to learn something about a session.
var looks = map[string]func(s *session.Session) error{
	"Get":       func(s *session.Session) error { var v string; _, err := s.Get("user", &v); return err },
	"Key.Get":   func(s *session.Session) error { _, err := lateName.Get(s); return err },
	"Has":       func(s *session.Session) error { _, err := s.Has("user"); return err },
	"Keys":      func(s *session.Session) error { _, err := s.Keys(); return err },
	"Len":       func(s *session.Session) error { _, err := s.Len(); return err },
	"Pop":       func(s *session.Session) error { _, _, err := lateName.Pop(s); return err },
	"Update":    func(s *session.Session) error { _, err := lateCount.Update(s, plusOne); return err },
	"Increment": func(s *session.Session) error { _, err := session.Increment(s, lateCount, 1); return err },
	"Exists":    func(s *session.Session) error { _, err := s.Exists(); return err },
	"ID":        func(s *session.Session) error { _, err := s.ID(); return err },
	"Created":   func(s *session.Session) error { _, err := s.Created(); return err },
	"LastSeen":  func(s *session.Session) error { _, err := s.LastSeen(); return err },
	"Expires":   func(s *session.Session) error { _, err := s.Expires(); return err },
	"User":      func(s *session.Session) error { _, err := s.User(); return err },
	"PublicID":  func(s *session.Session) error { _, err := s.PublicID(); return err },
	"Take":      func(s *session.Session) error { _, err := lateFlash.PopAll(s); return err },
	"CSRFToken": func(s *session.Session) error { _, err := s.CSRFToken(); return err },
	"CheckCSRF": func(s *session.Session) error { return s.CheckCSRF("of nobody") },
	"Reload":    func(s *session.Session) error { return s.Reload() },
	"Alive":     func(s *session.Session) error { _, err := s.Alive(); return err },
	"Snapshot":  func(s *session.Session) error { _, _, err := s.Snapshot(); return err },
	"SaveAt":    func(s *session.Session) error { return s.SaveAt(1) },
}

// changesOnly are the methods that reveal nothing stored.
var changesOnly = []string{
	"Set", "SetEncoded", "Delete", "Clear", "SetModified", "Modified", "Err", "Check", "Save", "Renew", "Destroy", "LogIn",
	"SetExpiry", "SetExpiryTime", "SetIdleTimeout", "SetAbsoluteTimeout", "ResetExpiry", "SetPersistence", "TakeOver",
}

// TestLooksAreAllThereAre: every method is in one of the lists.
func TestLooksAreAllThereAre(t *testing.T) {
	for method := range reflect.TypeFor[*session.Session]().Methods() {
		if looks[method.Name] == nil {
			require.Contains(t, changesOnly, method.Name, "add it to looks if it tells what is in the session")
		}
	}
}

// TestLateLook: if a session is first accessed after a cacheable response has
// left, it is not shown, and an event reports it, once.
func TestLateLook(t *testing.T) {
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			overProtocols(t, func(t *testing.T, http2 bool) {
				var err, again error
				s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, "hello, ")
					err, again = look(session.From(r)), look(session.From(r))
				})
				got := s.get(s.login("ada"))
				require.Empty(t, got.Header["Vary"])
				require.ErrorIs(t, err, session.ErrHeadersSent)
				require.ErrorIs(t, again, session.ErrHeadersSent)
				require.ErrorContains(t, err, "Vary: Cookie")
				require.Equal(t, 1, count(s.kinds(), session.EventFailed))
			})
		})
	}
}

// TestLateLookThatHarmsNobody: if no cache keeps the response or gives it to
// others, it may depend on the visitor.
func TestLateLookThatHarmsNobody(t *testing.T) {
	answer := func(header, value string) func(http.ResponseWriter, *session.Session) {
		return func(w http.ResponseWriter, _ *session.Session) {
			if header != "" {
				w.Header().Set(header, value)
			}
			_, _ = io.WriteString(w, "hello, ")
		}
	}
	tokens := func(s *session.Settings) { s.TokenHeader = "X-Session-Token" }
	for _, c := range []struct {
		name    string
		first   func(w http.ResponseWriter, s *session.Session)
		change  func(*session.Settings)
		refused bool
	}{
		{name: "Vary", first: answer("Vary", "Accept, cookie")},
		{name: "Vary on everything", first: answer("Vary", "*")},
		{name: "Vary on something else", first: answer("Vary", "Accept"), refused: true},
		{name: "private", first: answer("Cache-Control", "private, max-age=60")},
		{name: "no-store", first: answer("Cache-Control", "No-Store")},
		{name: "private for one header only", first: answer("Cache-Control", `private="Set-Cookie"`), refused: true},
		{name: "public", first: answer("Cache-Control", "public, max-age=60"), refused: true},
		{name: "no word, with tokens", first: answer("", ""), change: tokens, refused: true},
		{name: "Vary on the cookie only, with tokens", first: answer("Vary", "Cookie"), change: tokens, refused: true},
		{name: "Vary on both, with tokens", first: answer("Vary", "Cookie, X-Session-Token"), change: tokens},
		{name: "looked at before", first: func(w http.ResponseWriter, s *session.Session) {
			_, _ = s.Exists()
			_, _ = io.WriteString(w, "hello, ")
		}},
		{name: "changed before", first: func(w http.ResponseWriter, s *session.Session) {
			_ = s.Set("theme", "dark")
			_, _ = io.WriteString(w, "hello, ")
		}},
		{name: "changed after, which is no look", first: func(w http.ResponseWriter, s *session.Session) {
			_, _ = io.WriteString(w, "hello, ")
			_ = s.Set("theme", "dark")
			_ = s.Save()
		}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			change := []func(*session.Settings){}
			if c.change != nil {
				change = append(change, c.change)
			}
			s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
				c.first(w, session.From(r))
				_, err = lateName.Get(session.From(r))
			}, change...)
			s.get(s.login("ada"))
			if c.refused {
				require.ErrorIs(t, err, session.ErrHeadersSent)
			} else {
				require.NoError(t, err)
				require.NotContains(t, s.kinds(), session.EventFailed)
			}
		})
	}
	for name, begin := range map[string]func(t *testing.T, w http.ResponseWriter){
		"hijacked": func(t *testing.T, w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			require.NoError(t, err)
			conn.Close()
		},
		"switching protocols": func(t *testing.T, w http.ResponseWriter) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "echo")
			w.WriteHeader(http.StatusSwitchingProtocols)
		},
	} {
		t.Run(name, func(t *testing.T) {
			user := make(chan string, 1)
			s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
				begin(t, w)
				name, err := lateName.Get(session.From(r))
				require.NoError(t, err)
				user <- name
			})
			s.dial("Cookie: session_id=" + s.login("ada") + "\r\nConnection: Upgrade\r\nUpgrade: echo\r\n")
			require.Equal(t, "ada", <-user)
		})
	}
}

// TestLateDeletion: a change that reveals nothing of the session is saved, as
// any late change of a known session is.
func TestLateDeletion(t *testing.T) {
	for name, change := range map[string]func(s *session.Session) error{
		"Delete": func(s *session.Session) error { return s.Delete("user") },
		"Clear":  func(s *session.Session) error { return s.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "hello")
				require.NoError(t, change(session.From(r)))
			})
			id := s.login("ada")
			s.get(id)
			require.Empty(t, s.peek(id))
		})
	}
}

// TestLateCSRFToken: the token of a session that the visitor will never have is
// no token. The token of an existing session is.
func TestLateCSRFToken(t *testing.T) {
	var token string
	var err error
	s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Cookie")
		_, _ = io.WriteString(w, "<form>")
		token, err = session.From(r).CSRFToken()
	})
	s.get()
	require.ErrorIs(t, err, session.ErrHeadersSent)
	require.Empty(t, token)
	require.NotContains(t, s.trace.take(), "set")

	id := s.login("ada")
	s.get(id)
	require.NoError(t, err)
	require.NoError(t, s.manager.Session(ctx, id).CheckCSRF(token))

	early := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
		first, err := session.From(r).CSRFToken()
		require.NoError(t, err)
		_, _ = io.WriteString(w, first)
		token, err = session.From(r).CSRFToken()
		require.NoError(t, err, "the visitor's cookie went out with the first")
	})
	got := early.get()
	early.with([]string{visitorName + "=" + visitorCookie(got).Value}, func(s *session.Session) {
		require.NoError(t, s.CheckCSRF(token))
		require.NoError(t, s.CheckCSRF(got.body))
	})
}

func count[T comparable](list []T, what T) (n int) {
	for _, v := range list {
		if v == what {
			n++
		}
	}
	return n
}

// frameworkWriter stands for a framework's writer. It knows whether its
// response has begun, and tells so in one of the usual ways.
type frameworkWriter struct {
	http.ResponseWriter
	n int
}

func (w *frameworkWriter) Write(p []byte) (int, error) {
	w.n += len(p)
	return w.ResponseWriter.Write(p)
}

type (
	writtenWriter struct{ *frameworkWriter }
	bytesWriter   struct{ *frameworkWriter }
	sizeWriter    struct{ *frameworkWriter }
)

func (w writtenWriter) Written() bool   { return w.n > 0 }
func (w bytesWriter) BytesWritten() int { return w.n }
func (w sizeWriter) Size() int          { return w.n }

// TestResponseThatWentPast: if a handler writes to the writer beneath, its
// answer is out before anything can be added. Known sessions are saved. An
// event reports changes that need a header.
func TestResponseThatWentPast(t *testing.T) {
	set := func(s *session.Session) { _ = s.Set("user", "bob") }
	for name, writer := range map[string]func(*frameworkWriter) http.ResponseWriter{
		"Written":      func(w *frameworkWriter) http.ResponseWriter { return writtenWriter{w} },
		"BytesWritten": func(w *frameworkWriter) http.ResponseWriter { return bytesWriter{w} },
		"Size":         func(w *frameworkWriter) http.ResponseWriter { return sizeWriter{w} },
		"wrapped": func(w *frameworkWriter) http.ResponseWriter {
			return unwrapping{writtenWriter{w}, writtenWriter{w}}
		},
	} {
		for _, c := range []struct {
			name   string
			known  bool
			do     func(s *session.Session)
			write  bool
			failed bool
			saved  bool
		}{
			{"a new session", false, set, true, true, false},
			{"a known one, changed", true, set, true, true, true},
			{"a known one, looked at", true, func(s *session.Session) { _, _ = s.Exists() }, true, true, false},
			{"a renewal", true, func(s *session.Session) { _ = s.Renew() }, true, true, false},
			{"nothing of the session", true, func(*session.Session) {}, true, false, false},
			{"nothing written", false, set, false, false, true},
		} {
			t.Run(name+" "+c.name, func(t *testing.T) {
				a := newApp(t, store.NewMemory())
				var beneath http.ResponseWriter
				naive := a.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					c.do(session.From(r))
					if c.write {
						_, _ = io.WriteString(beneath, "past")
					}
				}))
				server := serveOver(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					beneath = writer(&frameworkWriter{ResponseWriter: w})
					naive.ServeHTTP(beneath, r)
				}))
				r, err := http.NewRequest(http.MethodGet, server.URL, nil)
				require.NoError(t, err)
				id := ""
				if c.known {
					id = a.login("ada")
					r.Header.Set("Cookie", "session_id="+id)
				}
				a.takeEvents()
				got := fetch(t, server.Client(), r)
				var failed []error
				for _, e := range a.takeEvents() {
					if e.Kind == session.EventFailed {
						failed = append(failed, e.Err)
					}
				}
				if !c.failed {
					require.Empty(t, failed)
				} else {
					require.Len(t, failed, 1)
					require.ErrorIs(t, failed[0], session.ErrHeadersSent)
					require.ErrorContains(t, failed[0], "another ResponseWriter")
				}
				if cookie := got.cookie(); cookie != nil {
					id = cookie.Value
				}
				if c.saved {
					require.Equal(t, "bob", a.peek(id))
				} else if c.known {
					require.Equal(t, "ada", a.peek(id), "the id that the browser has still works")
				}
			})
		}
	}
}
