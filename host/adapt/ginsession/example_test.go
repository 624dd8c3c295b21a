package ginsession_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"
	"github.com/waddle-sessions/waddle/host/adapt/ginsession"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func Example() {
	sessions, err := session.New(store.NewMemory(), session.Settings{}) // or a bundled engine, or a .wasm
	if err != nil {
		log.Fatal(err)
	}
	engine := gin.New()
	engine.Use(gin.Recovery(), ginsession.New(sessions))
	engine.GET("/", func(c *gin.Context) {
		n, err := session.Increment(ginsession.From(c), visits, 1)
		if err != nil {
			ginsession.Abort(c, err)
			return
		}
		c.String(http.StatusOK, "visit %d", n)
	})

	first := httptest.NewRecorder()
	engine.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/", nil))
	again := httptest.NewRequest(http.MethodGet, "/", nil)
	again.AddCookie(first.Result().Cookies()[0])
	second := httptest.NewRecorder()
	engine.ServeHTTP(second, again)
	fmt.Println(first.Body, second.Body)
	// Output: visit 1 visit 2
}
