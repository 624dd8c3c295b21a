package takeover_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// rig is a server that goes on with the sessions of a library that has one, ada's.
type rig struct {
	t       *testing.T
	manager *session.Manager
	clock   sessiontest.Clock
	handler http.Handler
	reads   int
	removed int
	left    []string
}

func newRig(t *testing.T, change func(*takeover.Library, *takeover.Settings)) *rig {
	t.Helper()
	r := &rig{t: t}
	var err error
	r.manager, err = session.New(store.NewMemory(), session.Settings{Now: r.clock.Now, OnEvent: func(context.Context, session.Event) {}})
	require.NoError(t, err)
	library := takeover.Library{
		Cookie: http.Cookie{Name: "sid", Path: "/"},
		Token:  func(value string) (string, bool) { return strings.CutPrefix(value, "s:") },
		Read: func(_ *http.Request, token string) (map[string]any, bool, error) {
			r.reads++
			if token != "ada" {
				return nil, false, nil
			}
			return map[string]any{"user": "ada", "n": 7, "bad": make(chan int), "": 1, "own": "x"}, true, nil
		},
		Remove: func(_ *http.Request, token string) error { r.removed++; require.Equal(t, "ada", token); return nil },
	}
	settings := takeover.Settings{
		Until:  r.clock.Now().Add(time.Hour),
		OnLeft: func(_ context.Context, names []string) { r.left = names },
	}
	if change != nil {
		change(&library, &settings)
	}
	over, err := takeover.Handler(r.manager, library, settings)
	require.NoError(t, err)
	r.handler = r.manager.Handler(over(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/static" {
			return
		}
		s := session.From(q)
		fmt.Fprint(w, session.NewKey[string]("user").Value(s), " ", session.NewKey[int]("n").Value(s), " ", session.Value(s, s.User))
	})))
	return r
}

func (r *rig) get(path, cookies string) (*http.Response, string) {
	r.t.Helper()
	q := httptest.NewRequest(http.MethodGet, path, nil)
	if cookies != "" {
		q.Header.Set("Cookie", cookies)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	return w.Result(), w.Body.String()
}

func TestHandler(t *testing.T) {
	r := newRig(t, nil)
	for _, cookies := range []string{"", "sid=", "sid=ada", "other=s:ada", "xsid=s:ada", "sid=s:bob", "sidx=1; xsid=s:ada"} {
		resp, body := r.get("/", cookies)
		require.Equal(t, " 0 ", body, cookies)
		require.Empty(t, resp.Cookies(), cookies)
	}
	require.Equal(t, 1, r.reads, "only bob's cookie is the library's")
	resp, _ := r.get("/static", "sid=s:ada")
	require.Empty(t, resp.Cookies())
	require.Equal(t, 1, r.reads, "nobody looked at the session")

	resp, body := r.get("/", "a=1; sid=%%%; sid=s:ada; b=2")
	require.Equal(t, "ada 7 ", body)
	require.Len(t, resp.Cookies(), 2)
	require.Equal(t, "sid", resp.Cookies()[0].Name)
	require.Negative(t, resp.Cookies()[0].MaxAge)
	require.Equal(t, []string{"", "bad"}, r.left)
	require.Equal(t, 1, r.removed)

	// The session that is ours counts, and nothing is read.
	ours := "session_id=" + resp.Cookies()[1].Value
	_, body = r.get("/", ours+"; sid=s:ada")
	require.Equal(t, "ada 7 ", body)
	require.Equal(t, 2, r.reads)
	r.clock.Advance(time.Hour)
	_, body = r.get("/", "sid=s:ada")
	require.Equal(t, " 0 ", body, "after the last day")
	require.Equal(t, 2, r.reads)
}

func TestTake(t *testing.T) {
	r := newRig(t, func(library *takeover.Library, settings *takeover.Settings) {
		library.Own = func(_ *session.Session, values map[string]any) { delete(values, "own") }
		settings.User = func(values map[string]any) string { return values["user"].(string) }
		settings.Take = func(fresh *session.Session, values map[string]any) error {
			require.NotContains(t, values, "own")
			return fresh.Set("n", values["n"].(int)+1)
		}
	})
	_, body := r.get("/", "sid=s:ada")
	require.Equal(t, " 8 ada", body)
	require.Empty(t, r.left)
}

// A fault is the request's error, and the old session stays.
func TestErrors(t *testing.T) {
	fault := errors.New("a fault for tests")
	for name, change := range map[string]func(*takeover.Library, *takeover.Settings){
		"read": func(l *takeover.Library, _ *takeover.Settings) {
			l.Read = func(*http.Request, string) (map[string]any, bool, error) { return nil, false, fault }
		},
		"take": func(_ *takeover.Library, s *takeover.Settings) {
			s.Take = func(*session.Session, map[string]any) error { return fault }
		},
		"user": func(_ *takeover.Library, s *takeover.Settings) {
			s.User = func(map[string]any) string { return "a\x00b" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			resp, _ := r.get("/", "sid=s:ada")
			require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
			require.Empty(t, resp.Cookies())
			require.Zero(t, r.removed)
		})
	}
	r := newRig(t, func(l *takeover.Library, _ *takeover.Settings) {
		l.Remove = func(*http.Request, string) error { return fault }
	})
	resp, body := r.get("/", "sid=s:ada")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "ada 7 ", body)
}

func TestSettings(t *testing.T) {
	manager, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	read := func(*http.Request, string) (map[string]any, bool, error) { return nil, false, nil }
	good := takeover.Library{Cookie: http.Cookie{Name: "sid"}, Read: read}
	until := takeover.Settings{Until: time.Now()}
	for want, c := range map[string]struct {
		m *session.Manager
		l takeover.Library
		s takeover.Settings
	}{
		"manager is nil":   {nil, good, until},
		"Until is not set": {manager, good, takeover.Settings{}},
		"no cookie's name": {manager, takeover.Library{Read: read}, until},
		"no Read":          {manager, takeover.Library{Cookie: http.Cookie{Name: "sid"}}, until},
	} {
		_, err := takeover.Handler(c.m, c.l, c.s)
		require.ErrorIs(t, err, session.ErrSettings)
		require.ErrorContains(t, err, want)
	}
}

// A request without an old cookie costs no memory.
func TestOtherRequestsCostNothing(t *testing.T) {
	r := newRig(t, nil)
	over, err := takeover.Handler(r.manager, takeover.Library{
		Cookie: http.Cookie{Name: "sid"},
		Read:   func(*http.Request, string) (map[string]any, bool, error) { return nil, false, nil },
	}, takeover.Settings{Until: r.clock.Now().Add(time.Hour)})
	require.NoError(t, err)
	handler := over(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	q := httptest.NewRequest(http.MethodGet, "/", nil)
	q.Header.Set("Cookie", "a=1; xsid; session_id=1234; sidx=1")
	w := httptest.NewRecorder()
	require.Zero(t, testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, q) }))
}
