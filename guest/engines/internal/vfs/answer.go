package vfs

import (
	"errors"

	"github.com/waddle-sessions/waddle/guest"
)

// Answer turns an error of a file system into an engine's answer: NO_SPACE,
// DENIED or UNAVAILABLE, with what was being done. It leaves errors of package
// guest, and nil, unchanged.
func Answer(err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case isAnswer(err):
		return err
	case NoSpace(err):
		return guest.Fail(guest.ErrNoSpace, doing+": "+err.Error())
	case Denied(err):
		return guest.Fail(guest.ErrDenied, doing+": "+err.Error())
	}
	return guest.Fail(guest.ErrUnavailable, doing+": "+err.Error())
}

func isAnswer(err error) bool {
	for _, answer := range [...]error{
		guest.ErrNotFound, guest.ErrInvalid, guest.ErrTooLarge, guest.ErrNoSpace, guest.ErrUnavailable,
		guest.ErrConflict, guest.ErrCorrupt, guest.ErrDenied, guest.ErrUnsupported, guest.ErrInternal,
	} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}
