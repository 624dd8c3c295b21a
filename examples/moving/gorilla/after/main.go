// Command after is the same shop with Waddle's sessions. It goes on with the
// sessions that gorilla/sessions has left: with -dir those in the engine, otherwise
// those in cookies.
package main

import (
	"context"
	"encoding/gob"
	"io"
	"net"
	"net/http"

	gorilla "github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var secret = []byte("an example's secret, of 32 bytes")

func main() {
	gob.Register([]string{})
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		var old gorilla.Store = gorilla.NewCookieStore(secret) // as it was, until the last of its sessions has ended
		if engine == nil {
			engine = store.NewMemory()
		} else {
			kept, err := gorillastore.New(engine, gorillastore.Settings{})
			if err != nil {
				return err
			}
			old = kept
		}
		sessions, err := session.New(engine, session.Settings{})
		if err != nil {
			return err
		}
		over, err := gorillastore.TakeOver(sessions, old, "shop", takeover.Settings{Until: shop.Until, User: shop.User, Take: take})
		if err != nil {
			return err
		}
		return shop.Serve(ctx, l, sessions.Handler(over(app())))
	})
}

// take fills a new session. Without it, each value would go under its name. gorilla
// keeps a list of flash messages under a name of its own.
func take(fresh *session.Session, values map[string]any) error {
	if flashes, _ := values["_flash"].([]any); len(flashes) > 0 {
		message, _ := flashes[len(flashes)-1].(string)
		if err := flash.Set(fresh, message); err != nil {
			return err
		}
	}
	items, _ := values["cart"].([]string)
	return cart.Set(fresh, items)
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
