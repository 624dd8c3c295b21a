// Command before is a shop whose sessions are those of fiber. With -dir they are in
// an engine of Waddle, the first step of moving over.
package main

import (
	"context"
	"net"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/fiberstorage"
	"github.com/waddle-sessions/waddle/host/store"
)

func main() {
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		config := session.Config{CookieHTTPOnly: true}
		if engine != nil {
			config.Storage = fiberstorage.New(engine, fiberstorage.Namespace("sessions"))
		}
		sessions, kept := session.NewWithStore(config)
		kept.RegisterType([]string{})
		app := fiber.New()
		app.Use(sessions)
		routes(app)
		context.AfterFunc(ctx, func() { _ = app.ShutdownWithTimeout(10 * time.Second) })
		return app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
	})
}

func routes(app *fiber.App) {
	app.Get("/", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		message, _ := s.Get("flash").(string)
		s.Delete("flash")
		user, _ := s.Get("user").(string)
		cart, _ := s.Get("cart").([]string)
		return c.SendString(shop.Page(message, user, cart))
	})
	app.Post("/cart", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		cart, _ := s.Get("cart").([]string)
		item := string([]byte(c.Query("item"))) // fiber uses the memory again
		s.Set("cart", append(cart, item))
		s.Set("flash", "Added "+item+".")
		return nil
	})
	app.Post("/log-in", func(c fiber.Ctx) error {
		s := session.FromContext(c)
		if err := s.Regenerate(); err != nil {
			return err
		}
		s.Set("user", string([]byte(c.Query("user"))))
		return nil
	})
	app.Post("/log-out", func(c fiber.Ctx) error { return session.FromContext(c).Destroy() })
}
