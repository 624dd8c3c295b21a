package serving

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// problem is the answer to a request that fails.
type problem struct {
	status  int
	code    string
	message string
	wait    time.Duration // until trying again may help; 0 for never
	session []byte        // the newest state of the session that was in the way
}

func (p *problem) Error() string { return p.message }

func problemf(status int, code, format string, args ...any) *problem {
	return &problem{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *problem {
	return problemf(http.StatusBadRequest, codeBadRequest, format, args...)
}

// The codes of problems, for programs.
const (
	codeBadRequest      = "bad_request"
	codeForbidden       = "forbidden"
	codeNotFound        = "not_found"
	codeMethod          = "method_not_allowed"
	codeConflict        = "conflict"
	codeGone            = "gone"
	codeBodyTooLarge    = "body_too_large"
	codeSessionTooLarge = "session_too_large"
	codeMediaType       = "unsupported_media_type"
	codeTooMany         = "too_many_requests"
	codeUnsupported     = "unsupported"
	codeInternal        = "internal"
	codeUnavailable     = "unavailable"
)

func gone() *problem {
	return problemf(http.StatusGone, codeGone, "there is no session with this id: it was ended, has expired, got another id, or never was; nothing was stored")
}

// problemOf returns the answer for an error. The words of a storage are for the log only:
// they may tell where it is.
func problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	wait, again := session.RetryAfter(err)
	switch {
	case errors.Is(err, session.ErrInvalidExpiry):
		return badRequest("%s", inJSON.Replace(err.Error()))
	case errors.Is(err, errJSON), errors.Is(err, session.ErrKey), errors.Is(err, session.ErrEncode), errors.Is(err, session.ErrInvalidUser), errors.Is(err, session.ErrInvalidNote):
		return badRequest("%v", err)
	case errors.Is(err, session.ErrGone):
		return gone()
	case errors.Is(err, session.ErrChanged):
		return problemf(http.StatusConflict, codeConflict, "%v", err)
	case errors.Is(err, session.ErrTooLarge):
		return problemf(http.StatusInsufficientStorage, codeSessionTooLarge, "%v; nothing was stored", err)
	case errors.Is(err, store.ErrUnsupported):
		return problemf(http.StatusNotImplemented, codeUnsupported, "the storage cannot do that: it does not enumerate its records")
	case again:
		return &problem{status: http.StatusServiceUnavailable, code: codeUnavailable, wait: wait,
			message: "the storage is not available, full, or busy with others who change the same session; the change may be stored or not"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &problem{status: http.StatusServiceUnavailable, code: codeUnavailable, wait: time.Second, message: "the request ended before it was answered"}
	}
	return problemf(http.StatusInternalServerError, codeInternal, "the request failed; the log of waddle serve says why")
}

// inJSON names what a message names for Go programs.
var inJSON = strings.NewReplacer("Session.SetIdleTimeout", "idle_timeout_ms", "Session.SetAbsoluteTimeout", "absolute_timeout_ms", "session.Off for none", "-1 for none")

func (p *problem) write(w http.ResponseWriter) {
	b := append([]byte(`{"error":{"code":`), strconv.Quote(p.code)...)
	b = append(b, `,"message":`...)
	b = appendText(b, p.message)
	if p.wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((p.wait+time.Second-1)/time.Second), 10))
		b = append(b, `,"retry_after_ms":`...)
		b = strconv.AppendInt(b, p.wait.Milliseconds(), 10)
	}
	if p.session != nil {
		b = append(b, `,"session":`...)
		b = append(b, p.session...)
	}
	write(w, p.status, append(b, "}}\n"...))
}

// write answers with JSON, which no cache may keep.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentJSON
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

var contentJSON, noStore, noSniff = []string{"application/json"}, []string{"no-store"}, []string{"nosniff"}
