// Package shop has the code that the programs before and after share, so that each
// program shows only its use of sessions.
package shop

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// Page is the shop's only page.
func Page(flash, user string, cart []string) string {
	return fmt.Sprintf("%s has %s. %s", cmp.Or(user, "nobody"), cmp.Or(strings.Join(cart, " and "), "nothing"), flash)
}

// Until is when the last session of the old library will have ended, for the readers
// of old sessions. It must not move when the program starts again.
var Until = time.Date(2099, time.January, 31, 0, 0, 0, 0, time.UTC)

// User returns the user of an old session.
func User(values map[string]any) string {
	user, _ := values["user"].(string)
	return user
}

// Program runs a server until a signal: -addr says where, and -dir opens an engine
// over a directory, which is closed in the end. Without -dir the engine is nil.
func Program(serve func(ctx context.Context, l net.Listener, engine store.Store) error) {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", "", "the directory of an engine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, *addr, *dir, serve); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr, dir string, serve func(context.Context, net.Listener, store.Store) error) (err error) {
	var engine store.Store
	if dir != "" {
		p, failed := keyfolder.Open(ctx, dir, plugin.Config{})
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, p.Close(context.Background())) }()
		engine = p
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s/", l.Addr())
	return serve(ctx, l, engine)
}

// Serve serves a handler of net/http.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	idle := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		idle <- server.Shutdown(grace)
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-idle
}
