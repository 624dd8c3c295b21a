package client

import "errors"

// ErrLost is what an error is if the connection is of no use any more. It wraps what
// happened.
var ErrLost = errors.New("the connection was lost")

// ErrSkipped is the error of a statement that the server did not run, because one before
// it in the same transaction failed.
var ErrSkipped = errors.New("a statement before this one failed")

// ErrNoTLS is the error of a server that has no TLS.
var ErrNoTLS = errors.New("the server has no TLS")

// ErrPassword is the error of a server that asks for a password that it must not get, or
// that does not prove that it knows it.
var ErrPassword = errors.New("the password was not given away")

// Error is an error that the server has answered. Its text leaves out the detail, which
// may contain keys and values.
type Error struct {
	Severity string // ERROR, FATAL or PANIC
	Code     string // SQLSTATE, five characters
	Message  string
}

func (e *Error) Error() string { return e.Severity + " " + e.Code + ": " + e.Message }

// Fatal reports whether the server has closed the connection with the error.
func (e *Error) Fatal() bool { return e.Severity == "FATAL" || e.Severity == "PANIC" }

// Class returns the first two characters of the code.
func (e *Error) Class() string { return e.Code[:min(2, len(e.Code))] }

// Code returns the code of the server's error that err is or wraps, or "".
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// lost is what happened to a connection that is of no use any more.
type lost struct{ cause error }

func (l *lost) Error() string   { return ErrLost.Error() + ": " + l.cause.Error() }
func (l *lost) Unwrap() []error { return []error{ErrLost, l.cause} }

// ErrUnreachable is what an error is, besides ErrLost, if no connection was made at all.
var ErrUnreachable = errors.New("the server cannot be reached")

// undone is a loss of which it is known that no transaction was committed that was sent last.
type undone struct{ error }

func (u *undone) Unwrap() error { return u.error }

// Undone reports whether err is the loss of a connection over which nothing was committed of
// what was sent last: its end was not sent, or the server had ended before it read it.
func Undone(err error) bool {
	_, ok := errors.AsType[*undone](err)
	return ok
}
