package store

import (
	"errors"

	"github.com/waddle-sessions/waddle/abi"
)

// Errors of a Store. Test for them with [errors.Is]. After ErrUnavailable a write may have
// been done; see [Store].
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

// codes are the errors that have a code in the plugin interface. An error that is
// several of them has the first one's.
var codes = [...]struct {
	code abi.Code
	err  error
}{
	{abi.NotFound, ErrNotFound},
	{abi.Invalid, ErrInvalid},
	{abi.TooLarge, ErrTooLarge},
	{abi.NoSpace, ErrNoSpace},
	{abi.Unavailable, ErrUnavailable},
	{abi.Conflict, ErrConflict},
	{abi.Corrupt, ErrCorrupt},
	{abi.Denied, ErrDenied},
	{abi.Unsupported, ErrUnsupported},
	{abi.Internal, ErrInternal},
}

// FromCode returns the error that a code of the plugin interface stands for.
func FromCode(code abi.Code) error {
	for _, c := range codes {
		if c.code == code {
			return c.err
		}
	}
	return ErrInternal
}

// CodeOf returns the code of the plugin interface that stands for what err is or
// wraps. It reports false if there is none, as for nil, [ErrClosed], and errors that
// are not of this package.
func CodeOf(err error) (abi.Code, bool) {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code, true
		}
	}
	return 0, false
}
