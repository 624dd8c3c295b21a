// Command after is the same shop with Waddle's sessions. It goes on with the
// sessions that scs has left in the engine.
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
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func main() {
	gob.Register([]string{})
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		if engine == nil {
			engine = store.NewMemory()
		}
		sessions, err := session.New(engine, session.Settings{})
		if err != nil {
			return err
		}
		old := scs.New() // as it was, until the last of its sessions has ended
		if old.Store, err = scsstore.New(engine, scsstore.Settings{}); err != nil {
			return err
		}
		over, err := scsstore.TakeOver(sessions, old, takeover.Settings{Until: shop.Until, User: shop.User})
		if err != nil {
			return err
		}
		return shop.Serve(ctx, l, sessions.Handler(over(app())))
	})
}

var (
	cart  = session.NewKey[[]string]("cart")
	flash = session.NewKey[string]("flash")
)

func app() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		message, _, err := flash.Pop(s)
		s.Check(err) // the response answers for it
		_, _ = io.WriteString(w, shop.Page(message, session.Value(s, s.User), cart.Value(s)))
	})
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		s, item := session.From(r), r.FormValue("item")
		_, err := cart.Update(s, func(items []string) ([]string, error) { return append(items, item), nil })
		s.Check(err)
		flash.Put(s, "Added "+item+".")
	})
	mux.HandleFunc("POST /log-in", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		s.Check(s.LogIn(r.FormValue("user"), nil))
	})
	mux.HandleFunc("POST /log-out", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		s.Check(s.Destroy())
	})
	return mux
}
