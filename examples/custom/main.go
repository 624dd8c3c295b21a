// Command custom keeps its sessions in a storage plugin loaded from a file: store.wasm,
// built from ./store, or any other that implements the interface.
//
//	cd examples
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o store.wasm ./custom/store
//	go run ./custom store.wasm
//	curl -c jar -b jar http://127.0.0.1:8080/   # again and again
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

var visits = session.NewKey[int]("visits")

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: custom [-addr ADDRESS] STORE.wasm")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	// Whoever wrote it: it runs metered, so that each of its calls has bounds, unless
	// Trusted is set, as you may for an engine of your own.
	store, err := plugin.OpenFile(ctx, flag.Arg(0), plugin.Config{Trusted: false})
	if err != nil {
		log.Fatal(err)
	}
	err = run(ctx, *addr, store)
	// Closing makes the plugin save, so it comes last, whatever has gone wrong before.
	if err := errors.Join(err, store.Close(context.Background())); err != nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}

func run(ctx context.Context, addr string, store *plugin.Plugin) error {
	sessions, err := session.New(store, session.Settings{})
	if err != nil {
		return err
	}
	return serve(ctx, addr, sessions.Handler(http.HandlerFunc(counter)))
}

// serve answers requests until ctx ends, and then waits for those that are still
// running.
func serve(ctx context.Context, addr string, handler http.Handler) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s/", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	idle := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		idle <- server.Shutdown(grace)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-idle
}

func counter(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	n, err := session.Increment(s, visits, 1) // atomic, whatever other requests do
	s.Check(err)                              // the response answers for it
	fmt.Fprintf(w, "visit %d\n", n)
}
