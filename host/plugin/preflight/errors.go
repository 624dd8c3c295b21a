package preflight

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Reasons to refuse a module. Every error of this package is one of these under
// [errors.Is].
var (
	ErrNotWasm   = wasmbin.ErrNotWasm
	ErrMalformed = wasmbin.ErrMalformed
	ErrFeature   = errors.New("feature that is not available to a guest")
	ErrTooBig    = errors.New("module exceeds a limit")

	// ErrTooCostly is an ErrTooBig: compiling the module would take too long, or too much
	// memory.
	ErrTooCostly = fmt.Errorf("%w: compiling", ErrTooBig)
)

func feature(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFeature, fmt.Sprintf(format, args...))
}

func tooBig(what string, found, limit int64) error {
	return fmt.Errorf("%w: %d %s: must be at most %d", ErrTooBig, found, what, limit)
}
