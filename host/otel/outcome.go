package waddleotel

import (
	"context"
	"errors"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// outcome is how an operation of a store ended. A missing record, or one other than
// expected, is an answer and not a failure. Neither is a client that left before
// the operation began a failure.
type outcome int

const (
	outcomeOK outcome = iota
	outcomeNotFound
	outcomeConflict
	outcomeCanceled
	outcomeError
	outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"ok", "not_found", "conflict", "canceled", "error"}[o]
}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, store.ErrNotFound):
		return outcomeNotFound
	case errors.Is(err, store.ErrConflict):
		return outcomeConflict
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return outcomeCanceled
	}
	return outcomeError
}

// errPanic stands for an operation that did not return.
var errPanic = errors.New("panic")

// errorTypes are the words of error.type. The first match counts: an error of a
// session wraps that of its store.
var errorTypes = []struct {
	err  error
	word string
}{
	{session.ErrGone, "gone"},
	{session.ErrHeadersSent, "headers_sent"},
	{session.ErrConflict, "conflict"},
	{session.ErrTooLarge, "too_large"},
	{session.ErrDecode, "decode"},
	{session.ErrEncode, "encode"},
	{store.ErrNotFound, "not_found"},
	{store.ErrConflict, "conflict"},
	{store.ErrUnavailable, "unavailable"},
	{store.ErrTooLarge, "too_large"},
	{store.ErrNoSpace, "no_space"},
	{store.ErrCorrupt, "corrupt"},
	{store.ErrInvalid, "invalid"},
	{store.ErrDenied, "denied"},
	{store.ErrUnsupported, "unsupported"},
	{store.ErrInternal, "internal"},
	{store.ErrClosed, "closed"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "deadline_exceeded"},
	{errPanic, "panic"},
}

// errorType returns the word for an error. Telemetry does not get its text: a
// plugin may write anything into it.
func errorType(err error) string {
	for _, t := range errorTypes {
		if errors.Is(err, t.err) {
			return t.word
		}
	}
	return semconv.ErrorTypeOther.Value.AsString()
}
