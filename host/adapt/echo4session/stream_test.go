package echo4session_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/echo4session"
	"github.com/waddle-sessions/waddle/host/session"
)

// TestEvents: the session is saved before the first event of a stream, each event
// arrives at once, and one that is changed in between is saved.
func TestEvents(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		next := make(chan string)
		e := newEcho()
		e.Use(echo4session.New(s.Manager))
		e.GET("/", func(c echo.Context) error {
			if err := name.Set(echo4session.From(c), "ada"); err != nil {
				return err
			}
			c.Response().Header().Set("Content-Type", "text/event-stream")
			for event := range next {
				if _, err := fmt.Fprintf(c.Response(), "data: %s\n\n", event); err != nil {
					return err
				}
				if err := http.NewResponseController(c.Response()).Flush(); err != nil {
					return err
				}
			}
			return name.Set(echo4session.From(c), "bob")
		})
		server := serve(t, e)
		go func() { next <- "one" }()
		resp, err := server.Client().Get(server.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		for _, event := range []string{"one", "two"} {
			line, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "data: "+event+"\n", line)
			_, _ = lines.ReadString('\n')
			require.Equal(t, "ada", s.stored(t, resp.Cookies()[0]))
			if event == "one" {
				next <- "two"
			}
		}
		close(next)
		_, err = io.ReadAll(lines)
		require.NoError(t, err)
		require.Equal(t, "bob", s.stored(t, resp.Cookies()[0]))
		require.NoError(t, s.failures())
	})
}

// TestWebSocket: the answer to the handshake has a new session's cookie.
func TestWebSocket(t *testing.T) {
	overStores(t, session.Settings{}, func(t *testing.T, s *site) {
		e := newEcho()
		e.Use(echo4session.New(s.Manager))
		e.GET("/", func(c echo.Context) error {
			require.NoError(t, name.Set(echo4session.From(c), "ada"))
			require.NoError(t, echo4session.From(c).Save())
			conn, err := websocket.Accept(c.Response(), c.Request(), nil)
			if err != nil {
				return err
			}
			defer conn.CloseNow()
			_, message, err := conn.Read(c.Request().Context())
			if err != nil {
				return err
			}
			require.NoError(t, name.Set(echo4session.From(c), string(message)))
			require.NoError(t, echo4session.From(c).Save())
			return conn.Write(c.Request().Context(), websocket.MessageText, message)
		})
		server := serve(t, e)
		conn, resp, err := websocket.Dial(t.Context(), server.URL, nil)
		require.NoError(t, err)
		defer conn.CloseNow()
		cookie := resp.Cookies()[0]
		require.Equal(t, "ada", s.stored(t, cookie))
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("bob")))
		_, message, err := conn.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, "bob", string(message))
		require.Equal(t, "bob", s.stored(t, cookie))
		require.NoError(t, s.failures())
	})
}

// TestHijack: the session is saved before a connection is taken over, by echo's
// Response and by http.ResponseController.
func TestHijack(t *testing.T) {
	for by, hijack := range map[string]func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"http.Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(by, func(t *testing.T) {
			overStores(t, session.Settings{}, func(t *testing.T, s *site) {
				e := newEcho()
				e.Use(echo4session.New(s.Manager))
				e.GET("/", func(c echo.Context) error {
					require.NoError(t, name.Set(echo4session.From(c), "ada"))
					require.NoError(t, echo4session.From(c).Save())
					require.NoError(t, name.Set(echo4session.From(c), "bob"))
					conn, _, err := hijack(c.Response())
					require.NoError(t, err)
					defer conn.Close()
					answer := http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: c.Response().Header()}
					return answer.Write(conn)
				})
				server := serve(t, e)
				conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
				require.NoError(t, err)
				defer conn.Close()
				_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				require.NoError(t, err)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, "bob", s.stored(t, resp.Cookies()[0]))
				require.NoError(t, s.failures())
			})
		})
	}
}
