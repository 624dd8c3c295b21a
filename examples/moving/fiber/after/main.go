// Command after is the same shop with Waddle's sessions. It goes on with the
// sessions that fiber has left in the engine.
package main

import (
	"context"
	"net"
	"time"

	"github.com/gofiber/fiber/v3"
	old "github.com/gofiber/fiber/v3/middleware/session"
	"github.com/waddle-sessions/waddle/examples/moving/internal/shop"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/adapt/fiberstorage"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func main() {
	shop.Program(func(ctx context.Context, l net.Listener, engine store.Store) error {
		if engine == nil {
			engine = store.NewMemory()
		}
		// As it was, until the last of its sessions has ended.
		kept := old.NewStore(old.Config{Storage: fiberstorage.New(engine, fiberstorage.Namespace("sessions"))})
		kept.RegisterType([]string{})

		sessions, err := session.New(engine, session.Settings{CookieName: "shop"}) // not fiber's name, session_id
		if err != nil {
			return err
		}
		app := fiber.New()
		app.Use(fibersession.New(sessions), takeOver(kept, "session_id"))
		routes(app)
		context.AfterFunc(ctx, func() { _ = app.ShutdownWithTimeout(10 * time.Second) })
		return app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
	})
}

var (
	cart  = session.NewKey[[]string]("cart")
	flash = session.NewKey[string]("flash")
)

func routes(app *fiber.App) {
	app.Get("/", func(c fiber.Ctx) error {
		s := fibersession.From(c)
		message, _, err := flash.Pop(s)
		s.Check(err) // the response answers for it
		return c.SendString(shop.Page(message, session.Value(s, s.User), cart.Value(s)))
	})
	app.Post("/cart", func(c fiber.Ctx) error {
		s, item := fibersession.From(c), c.Query("item")
		_, err := cart.Update(s, func(items []string) ([]string, error) { return append(items, item), nil })
		s.Check(err)
		flash.Put(s, "Added "+item+".")
		return nil
	})
	app.Post("/log-in", func(c fiber.Ctx) error {
		s := fibersession.From(c)
		s.Check(s.LogIn(string([]byte(c.Query("user"))), nil))
		return nil
	})
	app.Post("/log-out", func(c fiber.Ctx) error {
		s := fibersession.From(c)
		s.Check(s.Destroy())
		return nil
	})
}
