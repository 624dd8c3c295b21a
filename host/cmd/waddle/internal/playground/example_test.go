package playground_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func ExampleNew() {
	handler, err := playground.New(playground.Config{
		Store:    store.NewMemory(),
		Settings: session.Defaults(),
		Engine:   playground.Engine{Name: "native"},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	response, err := http.Post(server.URL+"/api/session/visits/increment", "", nil)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	fmt.Print(string(body))
	fmt.Println(response.Cookies()[0].Name)
	// Output:
	// {"value":1}
	// session_id
}
