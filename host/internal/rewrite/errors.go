package rewrite

import "errors"

var (
	// ErrReserved is the error for a module that exports a name which is reserved for
	// what is added.
	ErrReserved = errors.New("the module uses a reserved name")

	// ErrEntry is the error for an export that [Options.Entry] lists and that takes or
	// returns something else than integers.
	ErrEntry = errors.New("the export cannot be called by number")
)
