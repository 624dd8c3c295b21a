package ginsession

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// writer is the writer of gin's handlers. The calls that begin the response go to the
// session's writer, which saves the session and writes to beneath, that is to gin's own
// writer. That one knows the status and the size, whoever has written.
type writer struct {
	gin.ResponseWriter                     // that was there before
	session            http.ResponseWriter // nil if it is not in front
	gin                *gin.Context
}

// beneath is the same piece of memory as the session's writer sees it: gin's own
// writer, with the way back to the context.
type beneath writer

var (
	_ io.ReaderFrom                             = (*writer)(nil)
	_ interface{ FlushError() error }           = (*writer)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*writer)(nil)
)

// end gives gin its writer back.
func (w *writer) end() { w.gin.Writer = w.ResponseWriter }

func (b *beneath) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// Unwrap lets http.ResponseController set deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.session }

func (w *writer) Write(p []byte) (int, error)       { return w.session.Write(p) }
func (w *writer) WriteString(s string) (int, error) { return io.WriteString(w.session, s) }

func (w *writer) ReadFrom(r io.Reader) (int64, error) { return w.session.(io.ReaderFrom).ReadFrom(r) }

func (w *writer) Flush()            { _ = w.FlushError() }
func (w *writer) FlushError() error { return http.NewResponseController(w.session).Flush() }

// WriteHeaderNow sends the status that WriteHeader has given to gin's own writer.
func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.session.WriteHeader(w.Status())
		w.ResponseWriter.WriteHeaderNow()
	}
}

// Hijack is an error where gin's own would panic: HTTP/2 has no connection to give
// away. An ordinary response can follow.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if own, ok := w.ResponseWriter.(interface{ Unwrap() http.ResponseWriter }); ok {
		if _, ok := own.Unwrap().(http.Hijacker); !ok {
			return nil, nil, fmt.Errorf("ginsession: the connection cannot be taken over: %w", http.ErrNotSupported)
		}
	}
	return http.NewResponseController(w.session).Hijack()
}
