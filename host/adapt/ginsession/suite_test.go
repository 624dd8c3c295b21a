package ginsession_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/waddle-sessions/waddle/host/adapt/adapttest"
	"github.com/waddle-sessions/waddle/host/adapt/ginsession"
	"github.com/waddle-sessions/waddle/host/session"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestSuite(t *testing.T) {
	adapttest.Run(t, adapttest.Framework{Name: "gin", Start: start})
}

func start(t testing.TB, m *session.Manager, o adapttest.Options) string {
	engine := gin.New()
	engine.Use(logged(o.Logged), gin.RecoveryWithWriter(io.Discard))
	use(engine, adapttest.Outside, o)
	group := engine.Group("", ginsession.New(m))
	use(group, adapttest.Inside, o)
	for _, r := range o.Routes {
		var to gin.IRoutes = group
		if r.Bare {
			to = engine
		}
		to.Handle(r.Method, r.Path, func(c *gin.Context) {
			if err := r.Handle(exchange{adapttest.HTTP{W: c.Writer, R: c.Request}, c}); err != nil {
				ginsession.Abort(c, err)
			}
		})
	}
	return adapttest.Serve(t, engine, o)
}

// logged tells of requests by gin's own logger.
func logged(log func(status int, size int64)) gin.HandlerFunc {
	return gin.LoggerWithConfig(gin.LoggerConfig{Output: io.Discard, Formatter: func(p gin.LogFormatterParams) string {
		log(p.StatusCode, int64(max(p.BodySize, 0)))
		return ""
	}})
}

// use adds the middleware that the options want at a place.
func use(to gin.IRoutes, p adapttest.Place, o adapttest.Options) {
	if o.TimeLimit == p {
		to.Use(limited(o.Limit))
	}
	if o.Compression == p {
		to.Use(gzip.Gzip(gzip.DefaultCompression))
	}
	if o.Tracing == p {
		to.Use(otelgin.Middleware("server", otelgin.WithTracerProvider(o.Tracers)))
	}
}

// limited ends the context of a request that takes too long.
func limited(limit time.Duration) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, cancel := context.WithTimeout(c.Request.Context(), limit)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Next()
	}
}

// exchange answers as handlers of gin do.
type exchange struct {
	adapttest.HTTP
	c *gin.Context
}

func (x exchange) Session() *session.Session { return ginsession.From(x.c) }
func (x exchange) Query(name string) string  { return x.c.Query(name) }

func (x exchange) Text(status int, body string) error {
	x.c.String(status, "%s", body)
	return nil
}

func (x exchange) JSON(status int, v any) error {
	x.c.JSON(status, v)
	return nil
}

func (x exchange) NoContent(status int) error {
	x.c.Status(status)
	return nil
}

func (x exchange) Redirect(status int, to string) error {
	x.c.Redirect(status, to)
	return nil
}

func (x exchange) File(path string) error {
	x.c.File(path)
	return nil
}

func (x exchange) Stream(contentType string, f func(w io.Writer, flush func() error) error) (err error) {
	x.c.Header("Content-Type", contentType)
	x.c.Stream(func(w io.Writer) bool {
		err = f(w, http.NewResponseController(x.c.Writer).Flush)
		return false
	})
	return err
}

func (x exchange) Events(f func(send func(name, data string) error) error) (err error) {
	x.c.Stream(func(io.Writer) bool {
		err = f(func(name, data string) error {
			x.c.SSEvent(name, data)
			return http.NewResponseController(x.c.Writer).Flush()
		})
		return false
	})
	return err
}

func (x exchange) Proxy(to *url.URL) error {
	gin.WrapH(&httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorLog: log.New(io.Discard, "", 0),
	})(x.c)
	return nil
}
