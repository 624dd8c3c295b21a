package guest

import (
	"errors"

	"github.com/waddle-sessions/waddle/abi"
)

// Answers of an engine that are not success. The host receives the code of the
// one that an error is or wraps, as [errors.Is] sees it.
var (
	ErrNotFound    error = codeError(abi.NotFound)    // no record under this key, or it has expired
	ErrInvalid     error = codeError(abi.Invalid)     // the engine cannot accept an argument or setting
	ErrTooLarge    error = codeError(abi.TooLarge)    // the key or value is larger than the engine takes
	ErrNoSpace     error = codeError(abi.NoSpace)     // there is no room, and none can be made
	ErrUnavailable error = codeError(abi.Unavailable) // not possible now; the same call may succeed later
	ErrConflict    error = codeError(abi.Conflict)    // the stored revision is not the expected one
	ErrCorrupt     error = codeError(abi.Corrupt)     // a record is stored but cannot be read
	ErrDenied      error = codeError(abi.Denied)      // the backend refuses access
	ErrUnsupported error = codeError(abi.Unsupported) // the engine does not have the operation
	ErrInternal    error = codeError(abi.Internal)    // a fault within the engine
)

// Fail returns an error that wraps err, one of this package's, and carries a
// message for the host's log. The host keeps its first 1024 bytes. A message
// must not contain keys or values.
func Fail(err error, message string) error { return &failure{err, message} }

type codeError abi.Code

func (e codeError) Error() string { return "guest: " + abi.Code(e).String() }

type failure struct {
	err     error
	message string
}

func (f *failure) Error() string { return f.err.Error() + ": " + f.message }
func (f *failure) Unwrap() error { return f.err }

// codeOf returns the code that stands for err, which is not nil, and the message
// that goes with it.
func codeOf(err error) (abi.Code, string) {
	if e, ok := err.(codeError); ok {
		return abi.Code(e), ""
	}
	message := ""
	if f, ok := err.(*failure); ok {
		message = f.message
	} else {
		message = err.Error()
	}
	for _, sentinel := range [...]error{
		ErrNotFound, ErrInvalid, ErrTooLarge, ErrNoSpace, ErrUnavailable,
		ErrConflict, ErrCorrupt, ErrDenied, ErrUnsupported,
	} {
		if errors.Is(err, sentinel) {
			return abi.Code(sentinel.(codeError)), message
		}
	}
	return abi.Internal, message
}
