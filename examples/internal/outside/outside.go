// Package outside has the middleware that usually stands outside of sessions, for the
// tests of frameworks that bring none of their own.
package outside

import "net/http"

// Recovered answers 500 for a handler that panics, unless the response has begun.
func Recovered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch cause := recover(); cause {
			case nil:
			case http.ErrAbortHandler:
				panic(cause)
			default:
				http.Error(w, "something is broken", http.StatusInternalServerError)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// Logged tells of each request's status and size when it is done.
func Logged(log func(status int, size int64), h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := &logger{ResponseWriter: w, status: http.StatusOK}
		defer func() { log(l.status, l.size) }()
		h.ServeHTTP(l, r)
	})
}

// logger notes the status and the size of a response. Other methods of the writer
// beneath are found by Unwrap.
type logger struct {
	http.ResponseWriter
	status int
	size   int64
	begun  bool
}

func (l *logger) Unwrap() http.ResponseWriter { return l.ResponseWriter }

func (l *logger) WriteHeader(status int) {
	if !l.begun && (status >= 200 || status == http.StatusSwitchingProtocols) {
		l.begun, l.status = true, status
	}
	l.ResponseWriter.WriteHeader(status)
}

func (l *logger) Write(p []byte) (int, error) {
	l.begun = true
	n, err := l.ResponseWriter.Write(p)
	l.size += int64(n)
	return n, err
}
