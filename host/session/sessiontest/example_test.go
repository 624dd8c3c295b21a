package sessiontest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

var items = session.NewKey[int]("items")

// shop is the application under test.
func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		n, err := items.Update(session.From(r), func(n int) (int, error) { return n + 1, nil })
		if err != nil {
			http.Error(w, "no cart today", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%d items", n)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if err := session.From(r).LogIn(r.PostFormValue("user"), nil); err != nil {
			http.Error(w, "log-in failed", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/account", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /account", func(w http.ResponseWriter, r *http.Request) {
		switch user, err := session.From(r).User(); {
		case err != nil:
			http.Error(w, "please try again", http.StatusServiceUnavailable)
		case user == "":
			http.Error(w, "please log in", http.StatusUnauthorized)
		default:
			fmt.Fprintf(w, "hello %s", user)
		}
	})
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) {
		_ = session.From(r).Destroy()
	})
	return mux
}

// In a test, t is the test's own.
var t testing.TB

func Example() {
	sessions := sessiontest.New(t)
	app := sessions.Handler(shop())

	r := sessions.Request("POST", "/cart", nil, sessiontest.With("items", 2))
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)

	fmt.Println(w.Body)
	fmt.Println(sessiontest.Value(t, sessions.After(r, w.Result()), items))
	// Output:
	// 3 items
	// 3
}

func ExampleSessions_Browser() {
	sessions := sessiontest.New(t, func(s *session.Settings) { s.IdleTimeout = 30 * time.Minute })
	b := sessions.Browser(sessions.Handler(shop()))

	show := func(response *http.Response) {
		body, _ := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, strings.TrimSpace(string(body)))
	}
	show(b.Get("/account"))
	show(b.PostForm("/login", url.Values{"user": {"ada"}}))
	sessions.Clock.Advance(29 * time.Minute)
	show(b.Get("/account"))
	sessions.Clock.Advance(31 * time.Minute)
	show(b.Get("/account"))
	// Output:
	// 401 please log in
	// 200 hello ada
	// 200 hello ada
	// 401 please log in
}

func ExampleLoggedIn() {
	sessions := sessiontest.New(t)
	b := sessions.Browser(sessions.Handler(shop()), sessiontest.LoggedIn("ada"))
	fmt.Println(b.Get("/account").StatusCode)
	b.PostForm("/logout", nil)
	fmt.Println(b.Get("/account").StatusCode)
	// Output:
	// 200
	// 401
}

func ExampleStore_Fail() {
	sessions := sessiontest.New(t)
	app := sessions.Handler(shop())
	r := sessions.Request("POST", "/cart", nil, sessiontest.WithKey(items, 2))

	sessions.Store.Fail(store.ErrUnavailable, sessiontest.Set)
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)

	sessions.Store.Fail(nil)
	fmt.Println(sessiontest.Value(t, sessions.After(r, w.Result()), items))
	// Output:
	// 503 no cart today
	// 2
}
