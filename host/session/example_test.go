package session_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

var visits = session.NewKey[int]("visits")

// A server counts each visitor's visits, and a browser comes twice.
func Example() {
	m, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	hello := func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		n, err := session.Increment(s, visits, 1)
		s.Check(err) // on an error, the response reports it
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

// Logging in binds the session to a user and renews its id, so that an earlier
// id is worthless. Logging out ends the session. A user's sessions can be
// listed, and ended from elsewhere.
func Example_login() {
	m, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// The password has been checked. The note helps the user to recognise
		// this session.
		s := session.From(r)
		s.Check(s.LogIn(r.FormValue("user"), map[string]string{"browser": r.UserAgent()}))
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		s.Check(s.Destroy())
	})
	mux.HandleFunc("POST /logout-elsewhere", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		user, this := session.Value(s, s.User), session.Value(s, s.PublicID)
		if user == "" {
			http.Error(w, "Please log in.", http.StatusUnauthorized)
			return
		}
		_, err := m.RevokeAll(r.Context(), user, this)
		s.Check(err)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		user := session.Value(s, s.User)
		if user == "" {
			fmt.Fprint(w, "nobody")
			return
		}
		sessions, err := m.UserSessions(r.Context(), user)
		s.Check(err)
		fmt.Fprintf(w, "%s %d", user, len(sessions))
	})
	server := httptest.NewServer(m.Handler(mux))
	defer server.Close()

	newBrowser := func() *http.Client {
		jar, _ := cookiejar.New(nil)
		return &http.Client{Jar: jar}
	}
	front := func(browser *http.Client) string {
		resp, err := browser.Get(server.URL)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	desk, phone := newBrowser(), newBrowser()
	for _, step := range []struct {
		who     string
		browser *http.Client
		path    string
	}{
		{"desk", desk, "/login?user=ada"},
		{"phone", phone, "/login?user=ada"},
		{"desk", desk, "/logout-elsewhere"},
		{"desk", desk, "/logout"},
	} {
		resp, err := step.browser.Post(server.URL+step.path, "", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Printf("%s %s; desk: %s, phone: %s\n", step.who, step.path, front(desk), front(phone))
	}
	// Output:
	// desk /login?user=ada; desk: ada 1, phone: nobody
	// phone /login?user=ada; desk: ada 2, phone: ada 2
	// desk /logout-elsewhere; desk: ada 1, phone: nobody
	// desk /logout; desk: nobody, phone: nobody
}

// A page reads what it needs without handling errors. While the storage is
// down, the response is an error, and nobody sees what the page wrote.
func ExampleKey_Value() {
	name, theme := session.NewKey[string]("name"), session.NewKey[string]("theme")

	sessions := sessiontest.NewStore(store.NewMemory()) // it fails when told to
	m, err := session.New(sessions, session.Defaults())
	if err != nil {
		fmt.Println(err)
		return
	}
	page := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		if r.Method == http.MethodPost {
			name.Put(s, r.FormValue("name"))
		}
		fmt.Fprintf(w, "%s likes it %s", cmp.Or(name.Value(s), "somebody"), cmp.Or(theme.Value(s), "light"))
	}))

	r := httptest.NewRequest(http.MethodPost, "/?name=Ada", nil)
	for _, down := range []error{nil, store.ErrUnavailable} {
		sessions.Fail(down)
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
		r = httptest.NewRequest(http.MethodGet, "/", nil)
		for _, c := range w.Result().Cookies() {
			r.AddCookie(c)
		}
	}
	// Output:
	// 200 Ada likes it light
	// 503 The session storage is not available. Please try again.
}

// A page that can do without its session asks for the error and answers itself.
func ExampleSession_Err() {
	name := session.NewKey[string]("name")
	settings := session.Defaults()
	settings.OnEvent = session.Events() // the outage is part of the example
	down := sessiontest.NewStore(store.NewMemory())
	down.Fail(store.ErrUnavailable)
	m, err := session.New(down, settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	page := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		greeting := "Hello " + name.Value(s)
		if s.Err() != nil {
			greeting = "Hello. We cannot see at the moment who you are."
		}
		fmt.Fprint(w, greeting)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "session_id", Value: strings.Repeat("A", 43)})
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 Hello. We cannot see at the moment who you are.
}

func ExampleKey() {
	type item struct {
		Name   string
		Amount int
	}
	basket := session.NewKey[[]item]("basket")

	m, err := session.New(store.NewMemory(), session.Settings{})
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
	fmt.Println(s.Lifetime, s.IdleTimeout, s.CookieSecure, err)

	_, err = session.FromEnv([]string{"SESSION_COOKIE_SECRUE=yes"})
	fmt.Println(err)
	// Output:
	// 10h0m0s 30m0s SecureAlways <nil>
	// session: invalid settings: the environment sets SESSION_COOKIE_SECRUE, which is not a setting; was SESSION_COOKIE_SECURE meant?
}

// Other users are logged out after half an hour without an access, and after a
// day in any case. A user who ticked the box is remembered for 90 days.
func ExampleSession_SetExpiry() {
	settings := session.Defaults()
	settings.IdleTimeout, settings.AbsoluteTimeout = 30*time.Minute, 24*time.Hour
	m, err := session.New(store.NewMemory(), settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	const remembered = 90 * 24 * time.Hour
	s := m.Session(context.Background(), "") // in a handler: session.From(r)
	fmt.Println(s.SetExpiry(remembered))
	fmt.Println(errors.Join(s.SetIdleTimeout(session.Off), s.SetAbsoluteTimeout(session.Off), s.SetExpiry(remembered), s.LogIn("ada", nil), s.Save()))
	expires, err := s.Expires()
	fmt.Println(time.Until(expires).Round(24*time.Hour), err)
	// Output:
	// session: invalid expiry: the time to live is 2160h0m0s, but AbsoluteTimeout would end the session after 24h0m0s; change that by Session.SetAbsoluteTimeout first
	// <nil>
	// 2160h0m0s <nil>
}

// With a box ticked, the browser keeps the cookie for a month. Otherwise it
// forgets it when it closes.
func ExampleSession_SetPersistence() {
	m, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		if r.FormValue("remember") == "" {
			s.SetPersistence(session.EndWithBrowser)
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
