package fiberstorage_test

import (
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/limiter"
	"github.com/waddle-sessions/waddle/host/adapt/fiberstorage"
	"github.com/waddle-sessions/waddle/host/store"
)

func Example() {
	app := fiber.New()
	app.Use(limiter.New(limiter.Config{
		Max: 2, Expiration: time.Hour,
		Storage: fiberstorage.New(store.NewMemory(), fiberstorage.Namespace("limits")), // or an engine
	}))
	app.Get("/", func(c fiber.Ctx) error { return c.SendString("page") })
	for range 3 {
		response, err := app.Test(httptest.NewRequest("GET", "/", nil))
		if err != nil {
			panic(err)
		}
		fmt.Println(response.StatusCode)
	}
	// Output:
	// 200
	// 200
	// 429
}
