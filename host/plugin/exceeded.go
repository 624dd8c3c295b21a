package plugin

import (
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

var _ store.Exceeding = (*Error)(nil)

// ExceededBound implements [store.Exceeding]: it returns deadline, fuel, depth or rate if
// Kind is the error of that name, or else "".
func (e *Error) ExceededBound() string {
	for _, b := range []struct {
		kind error
		word string
	}{{ErrDeadline, "deadline"}, {ErrFuel, "fuel"}, {ErrDepth, "depth"}, {ErrRate, "rate"}} {
		if errors.Is(e.Kind, b.kind) {
			return b.word
		}
	}
	return ""
}
