package playground

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Headers that show the page the session cookie, which scripts cannot read.
const (
	headerReceived = "Waddle-Cookie-Received"
	headerSet      = "Waddle-Cookie-Set"
)

// traced gives each request a trace and adds it to the answer's headers. It wraps
// the session's own middleware, which saves just before the response begins: when
// the headers pass here, all work is done.
func traced(nameOf func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookieName := nameOf(r)
		t := &trace{began: time.Now()}
		tw := &tracedWriter{ResponseWriter: w, trace: t, cookieName: cookieName}
		for _, c := range r.CookiesNamed(cookieName) {
			w.Header().Add(headerReceived, c.Name+"="+masked(c.Value))
		}
		next.ServeHTTP(tw, r.WithContext(context.WithValue(r.Context(), traceKey{}, t)))
		tw.begin()
	})
}

// tracedWriter adds the headers of the trace just before the response begins.
type tracedWriter struct {
	http.ResponseWriter
	trace      *trace
	cookieName string
	begun      bool
}

// Unwrap lets http.ResponseController reach the writer beneath.
func (w *tracedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *tracedWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *tracedWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

func (w *tracedWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *tracedWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	h := w.Header()
	h.Set("Server-Timing", w.trace.serverTiming(time.Now()))
	for _, line := range h["Set-Cookie"] {
		name, rest, _ := strings.Cut(line, "=")
		if name != w.cookieName {
			continue
		}
		value, attributes, _ := strings.Cut(rest, ";")
		line = name + "=" + masked(value)
		if attributes != "" {
			line += ";" + attributes
		}
		h.Add(headerSet, line)
	}
}

// masked returns six of an id's 43 characters: enough to see that it changed, too
// little to use it.
func masked(id string) string {
	if id == "" {
		return ""
	}
	return id[:min(6, len(id)/4)] + "..."
}
