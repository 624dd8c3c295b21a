// Command before is a shop whose sessions are those of gorilla/sessions, in cookies.
// With -dir they are in an engine of Waddle, the first step of moving over.
package main

import (
	"context"
	"encoding/gob"
	"io"
	"net"
	"net/http"

	"github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/store"
)

var secret = []byte("an example's secret, of 32 bytes")

func main() {
	gob.Register([]string{})
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		if engine == nil {
			kept := sessions.NewCookieStore(secret)
			kept.Options.Secure, kept.Options.SameSite = false, http.SameSiteLaxMode // for plain HTTP
			return shop.Serve(ctx, l, app(kept))
		}
		kept, err := gorillastore.New(engine, gorillastore.Settings{})
		if err != nil {
			return err
		}
		kept.Options.Secure = false
		return shop.Serve(ctx, l, app(kept))
	})
}

func app(kept sessions.Store) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(w io.Writer, r *http.Request, s *sessions.Session)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s, err := kept.Get(r, "shop")
			if err == nil {
				text := new(page)
				f(text, r, s)
				if err = s.Save(r, w); err == nil {
					_, _ = w.Write(text.bytes)
					return
				}
			}
			http.Error(w, err.Error(), http.StatusInternalServerError)
		})
	}
	handle("GET /{$}", func(w io.Writer, _ *http.Request, s *sessions.Session) {
		var message string
		if flashes := s.Flashes(); len(flashes) > 0 {
			message, _ = flashes[len(flashes)-1].(string)
		}
		user, _ := s.Values["user"].(string)
		cart, _ := s.Values["cart"].([]string)
		_, _ = io.WriteString(w, shop.Page(message, user, cart))
	})
	handle("POST /cart", func(_ io.Writer, r *http.Request, s *sessions.Session) {
		cart, _ := s.Values["cart"].([]string)
		s.Values["cart"] = append(cart, r.FormValue("item"))
		s.AddFlash("Added " + r.FormValue("item") + ".")
	})
	handle("POST /log-in", func(_ io.Writer, r *http.Request, s *sessions.Session) {
		s.Values["user"] = r.FormValue("user")
	})
	handle("POST /log-out", func(_ io.Writer, _ *http.Request, s *sessions.Session) {
		s.Options.MaxAge = -1
	})
	return mux
}

// page holds what a handler writes until the session is saved, which sets a header.
type page struct{ bytes []byte }

func (p *page) Write(b []byte) (int, error) {
	p.bytes = append(p.bytes, b...)
	return len(b), nil
}
