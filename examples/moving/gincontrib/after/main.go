// Command after is the same shop with Waddle's sessions. It goes on with the
// sessions that gin-contrib/sessions has left: with -dir those in the engine,
// otherwise those in cookies.
package main

import (
	"context"
	"encoding/gob"
	"net"
	"net/http"

	contrib "github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/gincontribstore"
	"github.com/waddle-sessions/waddle/host/adapt/ginsession"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var secret = []byte("an example's secret, of 32 bytes")

func main() {
	gob.Register([]string{})
	gin.SetMode(gin.ReleaseMode)
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		var old contrib.Store = cookie.NewStore(secret) // as it was, until the last of its sessions has ended
		if engine == nil {
			engine = store.NewMemory()
		} else {
			kept, err := gincontribstore.New(engine, gincontribstore.Settings{})
			if err != nil {
				return err
			}
			old = kept
		}
		sessions, err := session.New(engine, session.Settings{})
		if err != nil {
			return err
		}
		over, err := gincontribstore.TakeOver(sessions, old, "shop", takeover.Settings{Until: shop.Until, User: shop.User, Take: take})
		if err != nil {
			return err
		}
		router := gin.New()
		router.Use(ginsession.New(sessions)) // does nothing inside the Handler below, until the reader goes
		routes(router)
		return shop.Serve(ctx, l, sessions.Handler(over(router)))
	})
}

// take fills a new session. Without it, each value would go under its name. The old
// library keeps a list of flash messages under a name of its own.
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

func routes(router *gin.Engine) {
	router.GET("/", func(c *gin.Context) {
		s := ginsession.From(c)
		message, _, err := flash.Pop(s)
		s.Check(err) // the response answers for it
		c.String(http.StatusOK, "%s", shop.Page(message, session.Value(s, s.User), cart.Value(s)))
	})
	router.POST("/cart", func(c *gin.Context) {
		s, item := ginsession.From(c), c.Query("item")
		_, err := cart.Update(s, func(items []string) ([]string, error) { return append(items, item), nil })
		s.Check(err)
		flash.Put(s, "Added "+item+".")
	})
	router.POST("/log-in", func(c *gin.Context) {
		s := ginsession.From(c)
		s.Check(s.LogIn(c.Query("user"), nil))
	})
	router.POST("/log-out", func(c *gin.Context) {
		s := ginsession.From(c)
		s.Check(s.Destroy())
	})
}
