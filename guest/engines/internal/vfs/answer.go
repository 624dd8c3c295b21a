package vfs

import (
	"errors"

	"github.com/waddle-sessions/waddle/guest"
)

// Answer makes what an engine answers of an error of a file system: NO_SPACE,
// DENIED or UNAVAILABLE, with what was being done. Errors of package guest, and
// nil, stay what they are.
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
