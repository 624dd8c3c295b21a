package echosession_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strconv"

	"github.com/labstack/echo/v5"
	"github.com/waddle-sessions/waddle/host/adapt/echosession"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var visits = session.NewKey[int]("visits")

func Example() {
	// A program opens its storage with engines.OpenFromEnv, or an engine's Open.
	sessions, err := session.New(store.NewMemory(), session.Settings{OnError: echosession.OnError})
	if err != nil {
		log.Fatal(err)
	}
	e := echo.New()
	e.Use(echosession.New(sessions))
	e.GET("/", func(c *echo.Context) error {
		n, err := session.Increment(echosession.From(c), visits, 1)
		if err != nil {
			return err
		}
		return c.String(http.StatusOK, "visit "+strconv.Itoa(n))
	})

	server := httptest.NewServer(e)
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	browser := http.Client{Jar: jar}
	for range 2 {
		answer, err := browser.Get(server.URL)
		if err != nil {
			log.Fatal(err)
		}
		page, err := io.ReadAll(answer.Body)
		if err != nil {
			log.Fatal(err)
		}
		answer.Body.Close()
		fmt.Println(string(page))
	}
	// Output:
	// visit 1
	// visit 2
}
