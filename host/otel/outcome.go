package waddleotel

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
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

// The words of error.type, except those of a store's errors, which come from their
// codes, and of a plugin's limits, such as fuel (see plugin.Limit). The first match counts,
// of these, then of bounds, of codes, and of the others: an error of a session wraps that
// of its store.
var sessionErrorTypes = []errorWord{
	{session.ErrGone, "gone"},
	{session.ErrHeadersSent, "headers_sent"},
	{session.ErrConflict, "conflict"},
	{session.ErrTooLarge, "too_large"},
	{session.ErrDecode, "decode"},
	{session.ErrEncode, "encode"},
}

var otherErrorTypes = []errorWord{
	{store.ErrClosed, "closed"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "deadline_exceeded"},
	{errPanic, "panic"},
}

type errorWord struct {
	err  error
	word string
}

func wordOf(err error, words []errorWord) string {
	for _, w := range words {
		if errors.Is(err, w.err) {
			return w.word
		}
	}
	return ""
}

// errorType returns the word for an error. Telemetry does not get its text: a
// plugin may write anything into it.
func errorType(err error) string {
	word := cmp.Or(wordOf(err, sessionErrorTypes), store.ExceededBound(err))
	if code, ok := store.CodeOf(err); ok && word == "" {
		word = strings.ToLower(code.String())
	}
	return cmp.Or(word, wordOf(err, otherErrorTypes), semconv.ErrorTypeOther.Value.AsString())
}
