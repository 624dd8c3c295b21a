package chi_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var visits = session.NewKey[int]("visits")

// A group of routes has sessions.
func Example() {
	sessions, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	router := chi.NewRouter()
	router.Use(middleware.Recoverer)
	router.Get("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello anybody") })
	router.Group(func(account chi.Router) {
		account.Use(sessions.Handler, middleware.Compress(5))
		account.Get("/account/{name}", func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			n, err := session.Increment(s, visits, 1)
			s.Check(err)
			fmt.Fprintf(w, "hello %s, visit %d", chi.URLParam(r, "name"), n)
		})
	})

	server := httptest.NewServer(router)
	defer server.Close()
	answer, err := http.Get(server.URL + "/account/ada")
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	fmt.Printf("%s, and a cookie %s\n", body, answer.Cookies()[0].Name)
	// Output: hello ada, visit 1, and a cookie session_id
}

// Middleware around the sessions knows the route that a handler inside has.
func TestRoutePattern(t *testing.T) {
	sessions, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	var pattern string
	router := chi.NewRouter()
	router.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			pattern = chi.RouteContext(r.Context()).RoutePattern()
		})
	}, sessions.Handler)
	router.Get("/log-in/{name}", func(_ http.ResponseWriter, r *http.Request) { visits.Put(session.From(r), 1) })
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/log-in/ada", nil))
	require.Equal(t, "/log-in/{name}", pattern)
}
