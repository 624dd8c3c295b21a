package scsstore_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/waddle-sessions/waddle/host/adapt/scsstore"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// A server that uses scs gets a bundled engine. Its handlers stay as they are.
func Example() {
	ctx := context.Background()
	engine, err := memory.Open(ctx, plugin.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close(ctx, engine)

	manager := scs.New()
	if manager.Store, err = scsstore.New(engine, scsstore.Settings{}); err != nil {
		log.Fatal(err)
	}

	// LoadAndSave does this for each request.
	first, _ := manager.Load(ctx, "")
	manager.Put(first, "city", "London")
	token, _, err := manager.Commit(first)
	if err != nil {
		log.Fatal(err)
	}
	next, _ := manager.Load(ctx, token)
	fmt.Println(manager.GetString(next, "city"))
	// Output: London
}

// A server that used scs gets sessions of package session. Whoever is logged in
// stays so.
func ExampleTakeOver() {
	old := scs.New() // as it was, with its Store, Codec and Cookie

	sessions, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	over, err := scsstore.TakeOver(sessions, old, takeover.Settings{
		Until: time.Date(2027, time.January, 31, 0, 0, 0, 0, time.UTC),
		User: func(values map[string]any) string {
			user, _ := values["user"].(string)
			return user
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := sessions.Handler(over(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r) // with the values that scs had
		_ = session.NewKey[string]("user").Value(s)
	})))
	_ = http.Server{Addr: "127.0.0.1:8080", Handler: handler}
}
