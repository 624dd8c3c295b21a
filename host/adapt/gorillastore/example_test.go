package gorillastore_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// A server that uses gorilla/sessions gets a bundled engine. Its handlers stay as
// they are.
func Example() {
	ctx := context.Background()
	engine, err := memory.Open(ctx, plugin.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close(ctx, engine)
	kept, err := gorillastore.New(engine, gorillastore.Settings{})
	if err != nil {
		log.Fatal(err)
	}

	visit := func(w http.ResponseWriter, r *http.Request) {
		s, err := kept.Get(r, "shop")
		if err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		n, _ := s.Values["visits"].(int)
		s.Values["visits"] = n + 1
		if err := s.Save(r, w); err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Println("visit", n+1)
	}
	w := httptest.NewRecorder()
	visit(w, httptest.NewRequest(http.MethodGet, "/", nil))
	again := httptest.NewRequest(http.MethodGet, "/", nil)
	again.AddCookie(w.Result().Cookies()[0])
	visit(httptest.NewRecorder(), again)
	// Output:
	// visit 1
	// visit 2
}

// A server that used gorilla/sessions gets sessions of package session. Whoever is
// logged in stays so.
func ExampleTakeOver() {
	key := []byte("as it was in use, 32 or 64 bytes")
	old := sessions.NewCookieStore(key)

	manager, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	over, err := gorillastore.TakeOver(manager, old, "shop", takeover.Settings{
		Until: time.Date(2027, time.January, 31, 0, 0, 0, 0, time.UTC),
		User: func(values map[string]any) string {
			user, _ := values["user"].(string)
			return user
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := manager.Handler(over(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r) // with the values that gorilla had
		_ = session.NewKey[string]("user").Value(s)
	})))
	_ = http.Server{Addr: "127.0.0.1:8080", Handler: handler}
}
