package fibersession_test

import (
	"fmt"
	"io"
	"net/http/httptest"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func Example() {
	visits := session.NewKey[int]("visits")
	sessions, err := session.New(store.NewMemory(), session.Settings{})
	if err != nil {
		panic(err)
	}
	app := fiber.New()
	app.Use(recover.New(), fibersession.New(sessions))
	app.Get("/", func(c fiber.Ctx) error {
		n, err := session.Increment(fibersession.From(c), visits, 1)
		if err != nil {
			return fibersession.WriteError(c, err)
		}
		return c.SendString(fmt.Sprintf("visit %d", n))
	})

	request := httptest.NewRequest("GET", "/", nil)
	for range 2 {
		response, err := app.Test(request)
		if err != nil {
			panic(err)
		}
		page, _ := io.ReadAll(response.Body)
		fmt.Println(string(page))
		for _, cookie := range response.Cookies() {
			request.AddCookie(cookie) // as a browser does
		}
	}
	// Output:
	// visit 1
	// visit 2
}
