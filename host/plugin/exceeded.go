package plugin

import (
	"errors"

	"github.com/waddle-sessions/waddle/host/store"
)

var _ store.Exceeding = (*Error)(nil)

// ExceededBound implements [store.Exceeding]: it returns the word of Limit, or of the one that
// Kind stands for. A key or a value that is too large has a code that says so, and exceeds
// no bound of the guest.
func (e *Error) ExceededBound() string {
	if e.Kind == nil {
		return ""
	}
	if e.Limit != "" {
		return string(e.Limit)
	}
	for _, b := range []struct {
		kind  error
		limit Limit
	}{{ErrDeadline, LimitDeadline}, {ErrFuel, LimitFuel}, {ErrDepth, LimitDepth}, {ErrRate, LimitRate}} {
		if errors.Is(e.Kind, b.kind) {
			return string(b.limit)
		}
	}
	return ""
}
