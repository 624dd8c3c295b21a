// Command before is a shop whose sessions are those of gin-contrib/sessions, in
// cookies. With -dir they are in an engine of Waddle, the first step of moving over.
package main

import (
	"context"
	"encoding/gob"
	"net"
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/gincontribstore"
	"github.com/waddle-sessions/waddle/host/store"
)

var secret = []byte("an example's secret, of 32 bytes")

func main() {
	gob.Register([]string{})
	gin.SetMode(gin.ReleaseMode)
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		var kept sessions.Store = cookie.NewStore(secret)
		if engine != nil {
			var err error
			if kept, err = gincontribstore.New(engine, gincontribstore.Settings{}); err != nil {
				return err
			}
		}
		kept.Options(sessions.Options{Path: "/", MaxAge: 86400, HttpOnly: true})
		router := gin.New()
		router.Use(sessions.Sessions("shop", kept))
		routes(router)
		return shop.Serve(ctx, l, router)
	})
}

func routes(router *gin.Engine) {
	save := func(c *gin.Context, s sessions.Session) bool {
		if err := s.Save(); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
			return false
		}
		return true
	}
	router.GET("/", func(c *gin.Context) {
		s := sessions.Default(c)
		var message string
		if flashes := s.Flashes(); len(flashes) > 0 {
			message, _ = flashes[len(flashes)-1].(string)
		}
		user, _ := s.Get("user").(string)
		cart, _ := s.Get("cart").([]string)
		if save(c, s) {
			c.String(http.StatusOK, "%s", shop.Page(message, user, cart))
		}
	})
	router.POST("/cart", func(c *gin.Context) {
		s := sessions.Default(c)
		cart, _ := s.Get("cart").([]string)
		s.Set("cart", append(cart, c.Query("item")))
		s.AddFlash("Added " + c.Query("item") + ".")
		save(c, s)
	})
	router.POST("/log-in", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Set("user", c.Query("user"))
		save(c, s)
	})
	router.POST("/log-out", func(c *gin.Context) {
		s := sessions.Default(c)
		s.Options(sessions.Options{Path: "/", MaxAge: -1})
		save(c, s)
	})
}
