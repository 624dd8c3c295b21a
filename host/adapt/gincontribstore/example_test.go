package gincontribstore_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gin-contrib/sessions"
	"github.com/gin-gonic/gin"
	"github.com/waddle-sessions/waddle/host/adapt/gincontribstore"
	"github.com/waddle-sessions/waddle/host/store"
)

// A server that uses gin-contrib/sessions gets any store. Its handlers stay as they
// are.
func Example() {
	gin.SetMode(gin.TestMode)
	kept, err := gincontribstore.New(store.NewMemory(), gincontribstore.Settings{})
	if err != nil {
		log.Fatal(err)
	}
	router := gin.New()
	router.Use(sessions.Sessions("shop", kept))
	router.GET("/", func(c *gin.Context) {
		s := sessions.Default(c)
		n, _ := s.Get("visits").(int)
		s.Set("visits", n+1)
		if err := s.Save(); err != nil {
			c.AbortWithStatus(http.StatusServiceUnavailable)
			return
		}
		fmt.Println("visit", n+1)
	})
	w := httptest.NewRecorder()
	router.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	again := httptest.NewRequest(http.MethodGet, "/", nil)
	again.AddCookie(w.Result().Cookies()[0])
	router.ServeHTTP(httptest.NewRecorder(), again)
	// Output:
	// visit 1
	// visit 2
}
