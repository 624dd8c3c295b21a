package adapttest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/waddle-sessions/waddle/host/session"
)

// Route is one that a framework is to serve.
type Route struct {
	Method, Path string

	// Bare routes stand outside of the sessions.
	Bare bool

	// Handle answers a request. An error is to be treated as the framework treats those of
	// its handlers: the client gets a status of 400 or more, unless the response has begun.
	Handle func(Exchange) error
}

// Exchange is a request and its response, as a framework's handlers see them. Its
// methods do what handlers of that framework would do.
type Exchange interface {
	// Session returns the request's session. It is not called on bare routes.
	Session() *session.Session

	// Context returns the request's context. It is over when the client has left, if the
	// framework notices that.
	Context() context.Context

	// Query returns a parameter of the URL's query.
	Query(name string) string

	// Text and the methods below answer. If a handler returns without a call of one, the
	// client gets an empty response.
	Text(status int, body string) error
	JSON(status int, v any) error
	NoContent(status int) error
	Redirect(status int, to string) error
	File(path string) error

	// Stream answers 200 with what f writes. Flush sends what was written so far. A framework
	// may call f after the handler has returned, but then must keep the session usable.
	Stream(contentType string, f func(w io.Writer, flush func() error) error) error

	// Events answers with server-sent events. Send writes one and flushes.
	Events(f func(send func(name, data string) error) error) error

	// WebSocket accepts a handshake. The connection is closed when f has returned.
	WebSocket(f func(Socket) error) error

	// Hijack takes the connection over and calls f with it and with the headers of the
	// response, which f writes. The connection is closed when f has returned.
	Hijack(f func(conn net.Conn, header http.Header) error) error

	// Proxy sends the request on to a server, and answers with its response.
	Proxy(to *url.URL) error
}

// Socket is a WebSocket. Messages are text.
type Socket interface {
	Read() (string, error)
	Write(message string) error
}
