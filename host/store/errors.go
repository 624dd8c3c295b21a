package store

import (
	"errors"

	"github.com/waddle-sessions/waddle/abi"
)

// Errors of a Store. Test for them with [errors.Is].
var (
	ErrNotFound    = errors.New("store: no such record")
	ErrInvalid     = errors.New("store: invalid argument or setting")
	ErrTooLarge    = errors.New("store: key or value too large")
	ErrNoSpace     = errors.New("store: no space left")
	ErrUnavailable = errors.New("store: unavailable")
	ErrConflict    = errors.New("store: record was changed by another writer")
	ErrCorrupt     = errors.New("store: record is corrupt")
	ErrDenied      = errors.New("store: access denied")
	ErrUnsupported = errors.New("store: operation not supported")
	ErrInternal    = errors.New("store: internal error of the engine")
	ErrClosed      = errors.New("store: closed")
)

// FromCode returns the error that a code of the plugin interface stands for.
func FromCode(code abi.Code) error {
	switch code {
	case abi.NotFound:
		return ErrNotFound
	case abi.Invalid:
		return ErrInvalid
	case abi.TooLarge:
		return ErrTooLarge
	case abi.NoSpace:
		return ErrNoSpace
	case abi.Unavailable:
		return ErrUnavailable
	case abi.Conflict:
		return ErrConflict
	case abi.Corrupt:
		return ErrCorrupt
	case abi.Denied:
		return ErrDenied
	case abi.Unsupported:
		return ErrUnsupported
	}
	return ErrInternal
}
