// Command goshop is the part of the shop that is written in Go. It shares its sessions with the
// part in Django: whoever is logged in there is logged in here, and sees the same cart.
//
// Both use one database for the sessions, Django by way of "waddle serve":
//
//	export SESSION_STORAGE=postgres://waddle@localhost/sessions
//	waddle serve --addr unix:/tmp/sessions.sock &
//	go run ./django/goshop &
//	WADDLE_SOCKET=/tmp/sessions.sock python3 django/site/manage.py runserver
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	cart  = session.NewKey[map[string]int]("cart") // Django writes it
	looks = session.NewKey[int]("looks")           // and this program that
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	engine, err := engines.OpenFromEnv(ctx, os.Environ())
	if err != nil {
		log.Fatal(err)
	}
	err = run(ctx, *addr, engine)
	if err := errors.Join(err, store.Close(context.Background(), engine)); err != nil {
		log.Fatal(err)
	}
	log.Print("stopped")
}

func run(ctx context.Context, addr string, engine store.Store) error {
	settings, err := session.FromEnv(os.Environ())
	if err != nil {
		return err
	}
	settings.Codec = session.JSON // programs in other languages read the values
	sessions, err := session.New(engine, settings)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", show)
	mux.HandleFunc("POST /look", look)
	mux.HandleFunc("POST /confirm", confirm)
	mux.HandleFunc("POST /log-out", logOut)
	return serve(ctx, addr, sessions.Handler(sessions.Protect(nil)(mux)))
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

// show answers with the user, the cart and the looks that were counted.
func show(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	page := map[string]any{"user": session.Value(s, s.User), "cart": cart.Value(s), "looks": looks.Value(s)}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(page)
}

// look counts one more look, whatever Django changes in the session at the same time.
func look(_ http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	_, err := session.Increment(s, looks, 1)
	s.Check(err)
}

// confirm is where a user would repeat their password, or give a code, before they
// may do more. As with any log-in, the session gets a new id.
func confirm(w http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	user := session.Value(s, s.User)
	if user == "" {
		http.Error(w, "nobody is logged in", http.StatusUnauthorized)
		return
	}
	s.Check(s.LogIn(user, map[string]string{"confirmed": "yes"}))
}

// logOut ends the session, here and in Django.
func logOut(_ http.ResponseWriter, r *http.Request) {
	s := session.From(r)
	s.Check(s.Destroy())
}
