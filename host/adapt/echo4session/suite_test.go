package echo4session_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/adapt/echo4session"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
)

func TestSuite(t *testing.T) {
	adapttest.Run(t, adapttest.Framework{Name: "echo v4", Start: start})
}

func start(t testing.TB, m *session.Manager, o adapttest.Options) string {
	e := newEcho()
	e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		LogStatus: true, LogResponseSize: true, HandleError: true,
		LogValuesFunc: func(_ echo.Context, v middleware.RequestLoggerValues) error {
			o.Logged(v.Status, v.ResponseSize)
			return nil
		},
	}))
	e.Use(placed(adapttest.Outside, o)...)
	e.Use(middleware.RecoverWithConfig(middleware.RecoverConfig{DisablePrintStack: true}))
	group := e.Group("", append([]echo.MiddlewareFunc{echo4session.New(m)}, placed(adapttest.Inside, o)...)...)
	for _, r := range o.Routes {
		add := group.Add
		if r.Bare {
			add = e.Add
		}
		add(r.Method, r.Path, func(c echo.Context) error {
			return r.Handle(exchange{adapttest.HTTP{W: c.Response(), R: c.Request()}, c})
		})
	}
	var h http.Handler = e
	if o.TimeLimit == adapttest.Outside {
		h = http.TimeoutHandler(e, o.Limit, "this takes too long")
	}
	return adapttest.Serve(t, h, o)
}

// placed returns the middlewares that the options want in a place.
func placed(p adapttest.Place, o adapttest.Options) (all []echo.MiddlewareFunc) {
	if o.Tracing == p {
		all = append(all, otelecho.Middleware("server", otelecho.WithTracerProvider(o.Tracers)))
	}
	if o.Compression == p {
		all = append(all, middleware.Gzip())
	}
	if o.TimeLimit == p && p == adapttest.Inside {
		all = append(all, middleware.ContextTimeout(o.Limit))
	}
	return all
}

// exchange answers by the methods of echo's context.
type exchange struct {
	adapttest.HTTP
	c echo.Context
}

func (x exchange) Session() *session.Session    { return echo4session.From(x.c) }
func (x exchange) Query(name string) string     { return x.c.QueryParam(name) }
func (x exchange) JSON(status int, v any) error { return x.c.JSON(status, v) }
func (x exchange) NoContent(status int) error   { return x.c.NoContent(status) }
func (x exchange) Redirect(status int, to string) error {
	return x.c.Redirect(status, to)
}

// Text answers, unless the request's time is over: ContextTimeout leaves it to handlers
// to notice that.
func (x exchange) Text(status int, body string) error {
	if err := x.c.Request().Context().Err(); err != nil {
		return err
	}
	return x.c.String(status, body)
}

func (x exchange) Stream(contentType string, f func(w io.Writer, flush func() error) error) error {
	x.c.Response().Header().Set(echo.HeaderContentType, contentType)
	x.c.Response().WriteHeader(http.StatusOK)
	return f(x.c.Response(), http.NewResponseController(x.c.Response()).Flush)
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
