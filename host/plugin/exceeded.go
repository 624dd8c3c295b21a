package plugin

import "github.com/waddle-sessions/waddle/host/store"

var _ store.Exceeding = (*Error)(nil)

// ExceededBound implements [store.Exceeding]: it returns the word of Limit. A key or a value
// that is too large has a code that says so, and exceeds no bound of the guest.
func (e *Error) ExceededBound() string {
	if e.Kind == nil {
		return ""
	}
	return string(e.Limit)
}
