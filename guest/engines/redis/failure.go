package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// failure makes an answer of the engine from an error of a server or of its
// connection. It keeps answers of this package as they are.
func failure(err error) error {
	var refused resp.Error
	switch {
	case err == nil:
		return nil
	case answerOf(err) != nil:
		return err
	case errors.As(err, &refused):
		return guest.Fail(answerTo(refused), said(refused))
	case errors.Is(err, syscall.EACCES):
		return guest.Fail(guest.ErrDenied, err.Error()+": the plugin must be granted this address")
	case err == io.EOF:
		return errClosed
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return guest.Fail(guest.ErrUnavailable, "the server did not answer in time: "+err.Error())
	}
	return guest.Fail(guest.ErrUnavailable, err.Error())
}

var errClosed = guest.Fail(guest.ErrUnavailable, "the server closed the connection")

// answerOf returns the error of package guest that an error is or wraps, or nil.
func answerOf(err error) error {
	for _, answer := range [...]error{guest.ErrUnavailable, guest.ErrDenied, guest.ErrNoSpace, guest.ErrCorrupt, guest.ErrInvalid,
		guest.ErrTooLarge, guest.ErrInternal, guest.ErrNotFound, guest.ErrConflict, guest.ErrUnsupported} {
		if errors.Is(err, answer) {
			return answer
		}
	}
	return nil
}

// isUnreadable reports whether an error concerns a record that nobody like this engine
// wrote.
func isUnreadable(err error) bool { return errors.Is(err, guest.ErrCorrupt) }

// answerTo returns the error that stands for what a server refused.
func answerTo(refused resp.Error) error {
	switch refused.Code() {
	case "OOM":
		return guest.ErrNoSpace
	case "NOAUTH", "WRONGPASS", "NOPERM":
		return guest.ErrDenied
	case "WRONGTYPE":
		return guest.ErrCorrupt
	case "LOADING", "BUSY", "MASTERDOWN", "READONLY", "MISCONF", "NOREPLICAS", "UNKILLABLE",
		"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "REDIRECT", "NOGOODSLAVE", "INPROG":
		return guest.ErrUnavailable
	}
	text := string(refused)
	switch {
	case strings.HasPrefix(text, "ERR unknown command"), strings.Contains(text, "without any password configured"),
		strings.Contains(text, "invalid password"):
		return guest.ErrDenied
	case strings.HasPrefix(text, "ERR max number of clients"):
		return guest.ErrUnavailable
	case strings.Contains(text, "exceeds maximum allowed size"):
		return guest.ErrTooLarge
	}
	return guest.ErrInternal
}

// said is what a server said, without what it may have repeated of a command: there
// are keys and passwords among the arguments.
func said(refused resp.Error) string {
	text, _, _ := strings.Cut(string(refused), "'")
	text, _, _ = strings.Cut(text, ", with args")
	text, _, _ = strings.Cut(text, "`")
	text, _, _ = strings.Cut(text, "\"")
	return "the server answered " + strings.TrimSpace(text[:min(len(text), 200)])
}
