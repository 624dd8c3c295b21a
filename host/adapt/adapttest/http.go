package adapttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

// Serve serves a handler as the options say, with TLS and HTTP/2 if they ask for
// it, until the test ends. It returns the server's address.
func Serve(t testing.TB, h http.Handler, o Options) (url string) {
	t.Helper()
	l := Listen(t)
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	scheme := "http://"
	serve := server.Serve
	if o.TLS != nil {
		scheme = "https://"
		server.TLSConfig = o.TLS.Clone()
		server.Protocols.SetHTTP2(true)
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	go func() { _ = serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return scheme + l.Addr().String()
}

// Listen returns a listener on a free port of this machine. It is closed when the
// test ends.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// HTTP is an Exchange over net/http.
type HTTP struct {
	W http.ResponseWriter
	R *http.Request
}

var _ Exchange = HTTP{}

func (x HTTP) Session() *session.Session { return session.From(x.R) }
func (x HTTP) Context() context.Context  { return x.R.Context() }
func (x HTTP) Query(name string) string  { return x.R.URL.Query().Get(name) }

func (x HTTP) Text(status int, body string) error {
	x.W.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.W.WriteHeader(status)
	_, err := io.WriteString(x.W, body)
	return err
}

func (x HTTP) JSON(status int, v any) error {
	x.W.Header().Set("Content-Type", "application/json")
	x.W.WriteHeader(status)
	return json.NewEncoder(x.W).Encode(v)
}

func (x HTTP) NoContent(status int) error {
	x.W.WriteHeader(status)
	return nil
}

func (x HTTP) Redirect(status int, to string) error {
	http.Redirect(x.W, x.R, to, status)
	return nil
}

func (x HTTP) File(path string) error {
	http.ServeFile(x.W, x.R, path)
	return nil
}

func (x HTTP) Stream(contentType string, f func(w io.Writer, flush func() error) error) error {
	x.W.Header().Set("Content-Type", contentType)
	return f(x.W, http.NewResponseController(x.W).Flush)
}

func (x HTTP) Events(f func(send func(name, data string) error) error) error {
	return x.Stream("text/event-stream", func(w io.Writer, flush func() error) error {
		return f(func(name, data string) error {
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data); err != nil {
				return err
			}
			return flush()
		})
	})
}

func (x HTTP) WebSocket(f func(Socket) error) error {
	conn, err := websocket.Accept(x.W, x.R, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	if err := f(socket{x.R.Context(), conn}); err != nil {
		return err
	}
	return conn.Close(websocket.StatusNormalClosure, "")
}

func (x HTTP) Hijack(f func(conn net.Conn, header http.Header) error) error {
	conn, _, err := http.NewResponseController(x.W).Hijack()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return f(conn, x.W.Header())
}

func (x HTTP) Proxy(to *url.URL) error {
	(&httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorLog: log.New(io.Discard, "", 0),
	}).ServeHTTP(x.W, x.R)
	return nil
}

// socket is a connection of package websocket. The context is that of the request.
type socket struct {
	ctx  context.Context
	conn *websocket.Conn
}

func (s socket) Read() (string, error) {
	_, message, err := s.conn.Read(s.ctx)
	return string(message), err
}

func (s socket) Write(message string) error {
	return s.conn.Write(s.ctx, websocket.MessageText, []byte(message))
}
