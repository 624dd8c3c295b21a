package playground

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// methods are the handlers of one address, by method. GET also answers HEAD.
type methods map[string]http.HandlerFunc

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if handler := m[method]; handler != nil {
		handler(w, r)
		return
	}
	var names []string
	for name := range m {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	allowed := strings.Join(names, ", ")
	w.Header().Set("Allow", allowed)
	writeError(w, http.StatusMethodNotAllowed, "the method is "+r.Method+": must be one of "+allowed)
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, struct {
		Error string `json:"error"`
	}{message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"error":"the answer could not be encoded"}` + "\n")
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that left needs no answer
}

// sessionErrors returns an OnError that answers for a session that could not be loaded
// or saved. An event already reports faults of the storage; other errors of the server
// go to log.
func sessionErrors(log func(context.Context, session.Event)) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		if status := answerError(w, err); status == http.StatusInternalServerError {
			log(r.Context(), session.Event{Kind: session.EventFailed, Err: err})
		}
	}
}

// answerError tells the visitor what to do. The engine's own words may name paths and
// hosts, so only the log gets them.
func answerError(w http.ResponseWriter, err error) (status int) {
	status = http.StatusInternalServerError
	message := "the session could not be loaded or saved"
	wait, again := session.RetryAfter(err)
	switch {
	case errors.Is(err, session.ErrGone):
		status, message = http.StatusConflict, "another request ended this session; load it again"
	case errors.Is(err, session.ErrTooLarge), errors.Is(err, store.ErrTooLarge):
		status, message = http.StatusRequestEntityTooLarge, "the session would become too large; remove a value first"
	case errors.Is(err, session.ErrKey), errors.Is(err, session.ErrEncode),
		errors.Is(err, session.ErrInvalidUser), errors.Is(err, session.ErrInvalidNote):
		status, message = http.StatusBadRequest, err.Error()
	case again:
		seconds := (wait + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
		status, message = http.StatusServiceUnavailable, "the session storage is not available; try again"
		if errors.Is(err, store.ErrNoSpace) {
			message = "the session storage has no space left; try again later"
		}
	}
	writeError(w, status, message)
	return status
}
