// Command before is a shop whose sessions are those of scs. With -dir they are in an
// engine of Waddle, the first step of moving over.
package main

import (
	"context"
	"encoding/gob"
	"io"
	"net"
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/scsstore"
	"github.com/waddle-sessions/waddle/host/store"
)

func main() {
	gob.Register([]string{})
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		sessions := scs.New()
		if engine != nil {
			kept, err := scsstore.New(engine, scsstore.Settings{})
			if err != nil {
				return err
			}
			sessions.Store = kept
		}
		return shop.Serve(ctx, l, sessions.LoadAndSave(app(sessions)))
	})
}

func app(sessions *scs.SessionManager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		cart, _ := sessions.Get(r.Context(), "cart").([]string)
		_, _ = io.WriteString(w, shop.Page(sessions.PopString(r.Context(), "flash"), sessions.GetString(r.Context(), "user"), cart))
	})
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		cart, _ := sessions.Get(r.Context(), "cart").([]string)
		sessions.Put(r.Context(), "cart", append(cart, r.FormValue("item")))
		sessions.Put(r.Context(), "flash", "Added "+r.FormValue("item")+".")
	})
	mux.HandleFunc("POST /log-in", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", r.FormValue("user"))
	})
	mux.HandleFunc("POST /log-out", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}
