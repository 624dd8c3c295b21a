package fibersession_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/logger"
	"github.com/gofiber/fiber/v3/middleware/proxy"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/timeout"
	"github.com/valyala/fasthttp"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

func TestSuite(t *testing.T) {
	adapttest.Run(t, adapttest.Framework{Name: "fiber v3", Start: start, No: map[adapttest.Behaviour]string{
		adapttest.Hijack: "fasthttp hands the connection over after the response, with the cookie; a handler that suppresses that response may lose the cookie unseen",
		adapttest.HTTP2:  "fasthttp speaks HTTP/1.1; a proxy in front may speak HTTP/2",
	}})
}

func start(t testing.TB, m *session.Manager, o adapttest.Options) string {
	app := fiber.New()
	app.Use(logger.New(logger.Config{Stream: io.Discard, LoggerFunc: func(c fiber.Ctx, _ *logger.Data, _ *logger.Config) error {
		size := int64(-1)
		if !c.Response().IsBodyStream() {
			size = int64(len(c.Response().Body()))
		}
		o.Logged(c.Response().StatusCode(), size)
		return nil
	}}), recover.New())
	handle := func(r adapttest.Route) {
		app.Add([]string{r.Method}, r.Path, func(c fiber.Ctx) error { return r.Handle(exchange{c}) })
	}
	for _, r := range o.Routes {
		if r.Bare {
			handle(r)
		}
	}
	use(app, adapttest.Outside, o)
	app.Use(fibersession.New(m))
	use(app, adapttest.Inside, o)
	for _, r := range o.Routes {
		if !r.Bare {
			handle(r)
		}
	}
	listener := adapttest.Listen(t)
	address := "http://" + listener.Addr().String()
	if o.TLS != nil {
		config := o.TLS.Clone()
		config.NextProtos = []string{"http/1.1"}
		listener, address = tls.NewListener(listener, config), "https://"+listener.Addr().String()
	}
	go func() { _ = app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	return address
}

// use adds the middleware that the options want at a place.
func use(app *fiber.App, p adapttest.Place, o adapttest.Options) {
	next := func(c fiber.Ctx) error { return c.Next() }
	if o.TimeLimit == p {
		app.Use(timeout.New(next, timeout.Config{Timeout: o.Limit}))
	}
	if o.Compression == p {
		app.Use(compressed)
	}
	if o.Tracing == p {
		app.Use(traced(o.Tracers.Tracer("fiber")))
	}
}

// compressed compresses by fasthttp, which fiber's middleware does too, but only when it
// has gathered the whole body of a stream.
func compressed(c fiber.Ctx) error {
	err := c.Next()
	if err == nil {
		compressing(c.RequestCtx())
	}
	return err
}

var compressing = fasthttp.CompressHandler(func(*fasthttp.RequestCtx) {})

// traced makes a span of each request, as OpenTelemetry's middleware for fiber does.
func traced(tracer trace.Tracer) fiber.Handler {
	return func(c fiber.Ctx) error {
		ctx, span := tracer.Start(c.Context(), c.Method(), trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		c.SetContext(ctx)
		if err := c.Next(); err != nil {
			span.RecordError(err)
			if err := c.App().ErrorHandler(c, err); err != nil {
				return err
			}
		}
		status := c.Response().StatusCode()
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		return nil
	}
}

// exchange answers as handlers of fiber do.
type exchange struct{ c fiber.Ctx }

func (x exchange) Session() *session.Session { return fibersession.From(x.c) }
func (x exchange) Context() context.Context  { return x.c.Context() }
func (x exchange) Query(name string) string  { return x.c.Query(name) }

// Text leaves the response alone when a time-out has answered in the handler's place.
func (x exchange) Text(status int, body string) error {
	if err := x.c.Context().Err(); err != nil {
		return err
	}
	return x.c.Status(status).SendString(body)
}

func (x exchange) JSON(status int, v any) error { return x.c.Status(status).JSON(v) }
func (x exchange) NoContent(status int) error   { return x.c.SendStatus(status) }
func (x exchange) File(path string) error       { return x.c.SendFile(path) }
func (x exchange) Redirect(status int, to string) error {
	return x.c.Redirect().Status(status).To(to)
}

func (x exchange) Stream(contentType string, f func(w io.Writer, flush func() error) error) error {
	x.c.Set(fiber.HeaderContentType, contentType)
	return x.c.SendStreamWriter(func(w *bufio.Writer) { _ = f(w, w.Flush) })
}

func (x exchange) Events(f func(send func(name, data string) error) error) error {
	return x.Stream("text/event-stream", func(w io.Writer, flush func() error) error {
		return f(func(name, data string) error {
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data); err != nil {
				return err
			}
			return flush()
		})
	})
}

func (x exchange) WebSocket(f func(adapttest.Socket) error) error {
	return new(websocket.FastHTTPUpgrader).Upgrade(x.c.RequestCtx(), func(conn *websocket.Conn) {
		defer func() { _ = conn.Close() }()
		_ = f(socket{conn})
	})
}

type socket struct{ *websocket.Conn }

func (s socket) Read() (string, error) {
	_, message, err := s.ReadMessage()
	return string(message), err
}

func (s socket) Write(message string) error {
	return s.WriteMessage(websocket.TextMessage, []byte(message))
}

func (x exchange) Hijack(f func(conn net.Conn, header http.Header) error) error {
	rc := x.c.RequestCtx()
	rc.HijackSetNoResponse(true)
	rc.Hijack(func(conn net.Conn) {
		header := make(http.Header)
		for name, value := range rc.Response.Header.All() {
			header.Add(string(name), string(value))
		}
		_ = f(conn, header)
	})
	return nil
}

// Proxy passes on what the other server sends while that is coming.
func (x exchange) Proxy(to *url.URL) error {
	return proxy.Do(x.c, to.JoinPath("/").String(), streaming)
}

var streaming = &fasthttp.Client{StreamResponseBody: true}
