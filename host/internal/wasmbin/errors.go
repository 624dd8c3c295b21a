package wasmbin

import (
	"errors"
	"fmt"
)

// What is wrong with bytes that are not a module. Every error of this package is
// one of these under [errors.Is].
var (
	ErrNotWasm   = errors.New("not a WebAssembly module")
	ErrMalformed = errors.New("malformed module")
)

// Malformed returns an [ErrMalformed] that names the offset in the module.
func Malformed(offset int, format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", ErrMalformed, offset, fmt.Sprintf(format, args...))
}
