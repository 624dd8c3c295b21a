// Command bundled counts visits in a session that a bundled engine keeps.
//
//	go run ./bundled
//	curl -c jar -b jar http://127.0.0.1:8080/   # again and again
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

var visits = session.NewKey[int]("visits")

func main() {
	engine, err := memory.Open(context.Background(), plugin.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close(context.Background())

	sessions, err := session.New(engine, session.Defaults())
	if err != nil {
		log.Fatal(err)
	}
	log.Print("listening on http://127.0.0.1:8080/")
	log.Print(http.ListenAndServe("127.0.0.1:8080", sessions.Handler(counter(sessions))))
}

func counter(sessions *session.Manager) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := visits.Update(session.From(r), func(n int) (int, error) { return n + 1, nil })
		if err != nil {
			sessions.Error(w, r, err)
			return
		}
		fmt.Fprintf(w, "visit %d\n", n)
	})
}
