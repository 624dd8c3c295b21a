package connectrpc

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"
)

// OnError returns a function for session.Settings.OnError, which answers in the
// protocol of the call for sessions that could not be loaded or saved. The options
// are those of the service's handlers. Copy it into your program, with Errors.
func OnError(options ...connect.HandlerOption) func(http.ResponseWriter, *http.Request, error) {
	writer := connect.NewErrorWriter(options...)
	return func(w http.ResponseWriter, r *http.Request, err error) {
		failed := coded(err)
		if writer.IsSupported(r) && writer.Write(w, r, failed) == nil {
			return
		}
		for name, values := range failed.Meta() {
			w.Header()[name] = values
		}
		http.Error(w, failed.Message(), http.StatusServiceUnavailable)
	}
}

// Errors is an interceptor that gives errors of sessions, which procedures return,
// the codes that OnError answers with.
type Errors struct{}

var _ connect.Interceptor = Errors{}

func (Errors) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		answer, err := next(ctx, r)
		if fromSession(err) {
			return nil, coded(err)
		}
		return answer, err
	}
}

func (Errors) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (Errors) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := next(ctx, conn)
		if fromSession(err) {
			return coded(err)
		}
		return err
	}
}

// fromSession reports whether an error comes from a session, and has no code yet.
// Bare errors of contexts have codes of connect's own.
func fromSession(err error) bool {
	var already *connect.Error
	if err == nil || errors.As(err, &already) {
		return false
	}
	for _, own := range [...]error{
		store.ErrUnavailable, store.ErrNoSpace, store.ErrDenied, store.ErrClosed, store.ErrTooLarge,
		session.ErrConflict, session.ErrGone, session.ErrTooLarge, session.ErrCrossSite, session.ErrCSRF, session.ErrDecode,
	} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// coded returns the error for clients: its code and a general text. An
// unavailable storage is CodeUnavailable, with the time to wait in a RetryInfo and
// in the header Retry-After.
func coded(err error) *connect.Error {
	if wait, again := session.RetryAfter(err); again {
		return unavailable(wait)
	}
	switch {
	case errors.Is(err, session.ErrTooLarge), errors.Is(err, store.ErrTooLarge):
		return connect.NewError(connect.CodeResourceExhausted, errors.New("the session would be too large"))
	case errors.Is(err, session.ErrGone):
		return connect.NewError(connect.CodeAborted, errors.New("the session has ended"))
	case errors.Is(err, session.ErrCrossSite), errors.Is(err, session.ErrCSRF):
		return connect.NewError(connect.CodePermissionDenied, errors.New("the request came from another site"))
	}
	return connect.NewError(connect.CodeInternal, errors.New("the session could not be loaded or saved"))
}

func unavailable(wait time.Duration) *connect.Error {
	err := connect.NewError(connect.CodeUnavailable, errors.New("the session storage is not available"))
	err.Meta().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	if detail, failed := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)}); failed == nil {
		err.AddDetail(detail)
	}
	return err
}
