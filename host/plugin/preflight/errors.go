package preflight

import (
	"errors"
	"fmt"
)

// Why a module is refused. Every error of this package is one of these under
// [errors.Is].
var (
	ErrNotWasm   = errors.New("not a WebAssembly module")
	ErrMalformed = errors.New("malformed module")
	ErrFeature   = errors.New("feature that is not available to a guest")
	ErrTooBig    = errors.New("module exceeds a limit")
)

func malformed(offset int, format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", ErrMalformed, offset, fmt.Sprintf(format, args...))
}

func feature(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFeature, fmt.Sprintf(format, args...))
}

func tooBig(what string, found, limit int64) error {
	return fmt.Errorf("%w: %d %s, and the most is %d", ErrTooBig, found, what, limit)
}
