package frameworks

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/waddle-sessions/waddle/host/session"
)

// Gin is the middleware for a group of gin's routes. Copy it into your program.
// Handlers then get their session by session.From(c.Request).
func Gin(m *session.Manager) gin.HandlerFunc {
	return func(c *gin.Context) {
		outer := c.Writer
		// This also happens after a panic: whatever answers then must not save
		// the session.
		defer func() { c.Writer = outer }()
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.Request, c.Writer = r, &ginWriter{outer, w}
			c.Next()
		})).ServeHTTP(outer, c.Request)
	}
}

// ginWriter is gin's writer, which knows status and size, with the session's
// writer in front of it.
type ginWriter struct {
	gin.ResponseWriter
	session http.ResponseWriter // which writes to gin's
}

func (w *ginWriter) Unwrap() http.ResponseWriter { return w.session }

func (w *ginWriter) Write(p []byte) (int, error)       { return w.session.Write(p) }
func (w *ginWriter) WriteString(s string) (int, error) { return io.WriteString(w.session, s) }
func (w *ginWriter) Flush()                            { _ = http.NewResponseController(w.session).Flush() }

func (w *ginWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.session).Hijack()
}

// WriteHeaderNow sends the status that gin has recorded.
func (w *ginWriter) WriteHeaderNow() {
	if !w.Written() {
		w.session.WriteHeader(w.Status())
		w.ResponseWriter.WriteHeaderNow()
	}
}
