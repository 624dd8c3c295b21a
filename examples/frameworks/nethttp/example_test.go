package nethttp_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var user = session.NewKey[string]("user")

// A part of a server has sessions.
func Example() {
	sessions, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		log.Fatal(err)
	}

	account := http.NewServeMux()
	account.HandleFunc("POST /account/{name}", func(_ http.ResponseWriter, r *http.Request) {
		user.Put(session.From(r), r.PathValue("name"))
	})
	account.HandleFunc("GET /account/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hello "+user.Value(session.From(r)))
	})
	mux := http.NewServeMux()
	mux.Handle("/account/", sessions.Handler(account))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello anybody") })

	server := httptest.NewServer(mux)
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	client := http.Client{Jar: jar}
	for _, request := range []string{"POST /account/ada", "GET /account/", "GET /"} {
		var method, path string
		_, _ = fmt.Sscan(request, &method, &path)
		r, _ := http.NewRequest(method, server.URL+path, nil)
		answer, err := client.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		fmt.Printf("%s: %q, Vary: %q\n", request, body, answer.Header.Get("Vary"))
	}
	// Output:
	// POST /account/ada: "", Vary: "Cookie"
	// GET /account/: "hello ada", Vary: "Cookie"
	// GET /: "hello anybody", Vary: ""
}
