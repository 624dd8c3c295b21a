package main

import (
	"context"
	"io"
	"net/http"
)

// serveUnused is the page without a session, the same for all that use
// net/http.
func serveUnused(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, pageUnused)
}

// openBare starts an application without sessions: what remains when a session
// costs nothing.
func openBare(context.Context, string, *faults) (server, error) {
	s := &httpServer{}
	s.pages[opUnused] = http.HandlerFunc(serveUnused)
	return s, nil
}
