package session_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	benchUser  = session.NewKey[string]("user")
	benchCount = session.NewKey[int]("count")
)

// BenchmarkMiddleware measures a request through the middleware over the native
// store, without a network: the cost of the library itself.
func BenchmarkMiddleware(b *testing.B) {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	b.Run("open", func(b *testing.B) { benchmarkMiddleware(b, session.Defaults()) })
	b.Run("sealed", func(b *testing.B) {
		settings := session.Defaults()
		var err error
		settings.Keyring, err = session.NewKeyring(secretNew)
		require.NoError(b, err)
		benchmarkMiddleware(b, settings)
	})
}

func benchmarkMiddleware(b *testing.B, settings session.Settings) {
	m, err := session.New(store.NewMemory(), settings)
	require.NoError(b, err)
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		for _, key := range []string{"user", "theme", "locale", "csrf"} {
			require.NoError(b, s.Set(key, "some value of "+key))
		}
		require.NoError(b, benchCount.Set(s, 1))
	})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	cookies := w.Result().Cookies()
	require.Len(b, cookies, 1)

	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"unused", func(http.ResponseWriter, *http.Request) {}},
		{"read", func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			_, err1 := benchUser.Get(s)
			_, err2 := benchCount.Get(s)
			if err1 != nil || err2 != nil {
				b.Error(err1, err2)
			}
		}},
		{"read without errors", func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			if benchUser.Value(s) == "" || benchCount.Value(s) == 0 {
				b.Error("nothing read")
			}
		}},
		{"write", func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			n, err1 := benchCount.Get(s)
			err2 := benchCount.Set(s, n+1)
			if err1 != nil || err2 != nil {
				b.Error(err1, err2)
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			handler := m.Handler(c.handler)
			r := httptest.NewRequest("GET", "/", nil)
			r.AddCookie(cookies[0])
			w := &discard{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				handler.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkValues measures a request that reads one value of a session, or changes one, by
// how many the session has.
func BenchmarkValues(b *testing.B) {
	m, err := session.New(store.NewMemory(), session.Settings{OnEvent: session.Events()})
	require.NoError(b, err)
	for _, n := range []int{1, 10, 100, 1000} {
		s := m.Session(b.Context(), "")
		for i := range n - 1 {
			require.NoError(b, s.Set(fmt.Sprintf("value%d", i), "some value"))
		}
		require.NoError(b, errors.Join(benchCount.Set(s, 1), s.Save()))
		id, err := s.ID()
		require.NoError(b, err)
		for name, page := range map[string]http.HandlerFunc{
			"read":  func(_ http.ResponseWriter, r *http.Request) { _ = benchCount.Value(session.From(r)) },
			"write": func(_ http.ResponseWriter, r *http.Request) { benchCount.Put(session.From(r), 2) },
		} {
			b.Run(fmt.Sprintf("%s/of=%d", name, n), func(b *testing.B) {
				handler := m.Handler(page)
				r := httptest.NewRequest("GET", "/", nil)
				r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
				w := &discard{header: make(http.Header)}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					handler.ServeHTTP(w, r)
				}
			})
		}
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkSet measures the cost of encoding a value and of checking whether it
// would come back.
func BenchmarkSet(b *testing.B) {
	m, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(b, err)
	for _, c := range []struct {
		name string
		v    any
	}{
		{"string", "ada"},
		{"named", slog.LevelWarn},
		{"struct", profile{Name: "ada", Tags: []string{"a", "b"}}},
		{"chain", chain{&chain{nil, 2}, 1}},
		{"any", map[string]any{"user": "ada", "n": 1, "tags": []any{"a", "b"}, "on": true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := m.Session(ctx, "")
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Set("k", c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
