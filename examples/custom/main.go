// Command custom keeps its sessions in a storage plugin that is loaded from a
// file: store.wasm, built from ./store, or any other that speaks the interface.
//
//	cd examples
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o store.wasm ./custom/store
//	go run ./custom store.wasm
//	curl -c jar -b jar http://127.0.0.1:8080/   # again and again
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

var visits = session.NewKey[int]("visits")

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: custom STORE.wasm")
	}
	store, err := plugin.OpenFile(context.Background(), os.Args[1], plugin.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close(context.Background())

	sessions, err := session.New(store, session.Defaults())
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
