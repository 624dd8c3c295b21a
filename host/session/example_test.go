package session_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var visits = session.NewKey[int]("visits")

// A server that counts each visitor's visits, and a browser that comes twice.
func Example() {
	m, err := session.New(store.NewMemory(), session.Defaults())
	if err != nil {
		fmt.Println(err)
		return
	}
	hello := func(w http.ResponseWriter, r *http.Request) {
		n, err := visits.Update(session.From(r), func(n int) (int, error) { return n + 1, nil })
		if err != nil {
			m.Error(w, r, err)
			return
		}
		fmt.Fprintf(w, "visit %d", n)
	}
	server := httptest.NewServer(m.Handler(http.HandlerFunc(hello)))
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	for range 2 {
		resp, err := browser.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%s, a cookie comes along: %t\n", body, len(resp.Cookies()) == 1)
	}
	// Output:
	// visit 1, a cookie comes along: true
	// visit 2, a cookie comes along: false
}

// Logging in renews the id, so that an id from before is worth nothing; logging
// out ends the session.
func Example_login() {
	m, err := session.New(store.NewMemory(), session.Defaults())
	if err != nil {
		fmt.Println(err)
		return
	}
	user := session.NewKey[string]("user")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		if err := s.Renew(); err != nil {
			m.Error(w, r, err)
			return
		}
		if err := user.Set(s, r.FormValue("user")); err != nil {
			m.Error(w, r, err)
		}
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := session.From(r).Destroy(); err != nil {
			m.Error(w, r, err)
		}
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		name, ok, err := user.Lookup(session.From(r))
		if err != nil {
			m.Error(w, r, err)
			return
		}
		fmt.Fprintf(w, "%q %t", name, ok)
	})
	server := httptest.NewServer(m.Handler(mux))
	defer server.Close()

	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	for _, path := range []string{"/login?user=ada", "/logout"} {
		resp, err := browser.Post(server.URL+path, "", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		resp, err = browser.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("after %s: %s\n", path, body)
	}
	// Output:
	// after /login?user=ada: "ada" true
	// after /logout: "" false
}

func ExampleKey() {
	type item struct {
		Name   string
		Amount int
	}
	basket := session.NewKey[[]item]("basket")

	m, err := session.New(store.NewMemory(), session.Defaults())
	if err != nil {
		fmt.Println(err)
		return
	}
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		fmt.Println(basket.Set(s, []item{{"duck", 1}}))

		items, _ := basket.Get(s)
		items[0].Amount = 99 // changes this copy only
		items, _ = basket.Get(s)
		fmt.Println(items)

		items, err := basket.Update(s, func(items []item) ([]item, error) {
			return append(items, item{"bread", 2}), nil
		})
		fmt.Println(items, err)

		items, ok, err := basket.Pop(s)
		fmt.Println(len(items), ok, err)
		_, ok, err = basket.Lookup(s)
		fmt.Println(ok, err)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output:
	// <nil>
	// [{duck 1}]
	// [{duck 1} {bread 2}] <nil>
	// 2 true <nil>
	// false <nil>
}

func ExampleFromEnv() {
	s, err := session.FromEnv([]string{ // in a program: os.Environ()
		"SESSION_DURATION=36000",
		"SESSION_IDLE_TIMEOUT=30m",
		"SESSION_COOKIE_SECURE=yes",
		"SESSION_MANAGER=local/desktop",
	})
	fmt.Println(s.Duration, s.IdleTimeout, s.CookieSecure, err)

	_, err = session.FromEnv([]string{"SESSION_COOKIE_SECRUE=yes"})
	fmt.Println(err)
	// Output:
	// 10h0m0s 30m0s true <nil>
	// session: invalid settings: the environment sets SESSION_COOKIE_SECRUE, which is no setting; was SESSION_COOKIE_SECURE meant?
}

// A box to tick: the browser keeps the cookie for a month, or forgets it when it
// closes.
func ExampleSession_SetBrowserClose() {
	m, err := session.New(store.NewMemory(), session.Defaults())
	if err != nil {
		fmt.Println(err)
		return
	}
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		if r.FormValue("remember") == "" {
			s.SetBrowserClose(session.BrowserEnds)
			return
		}
		fmt.Println(s.SetExpiry(30 * 24 * time.Hour))
	}))
	for _, url := range []string{"/", "/?remember=on"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		fmt.Println(w.Result().Cookies()[0].MaxAge)
	}
	// Output:
	// 0
	// <nil>
	// 2592000
}
