// Package store defines a storage engine as the host sees it: a Store keeps bytes
// under a key until they expire. Sessions are built on it and do not know whether
// the bytes go to a WebAssembly guest or to a Go map.
//
// Only [Store] is required. The optional interfaces have one job each. [As] finds
// them in a store or in those that it wraps. Functions named like their methods
// ([Touch], [Save], [Keys], …) find and call them in one line:
//
//	removed, err := store.Sweep(ctx, s, 100, now)
//	if errors.Is(err, store.ErrUnsupported) { … }
//
// The package also has a native Store, [Memory], the reference against which other
// stores are tested and measured.
package store

import (
	"context"

	"github.com/waddle-sessions/waddle/abi"
)

// Store keeps values under keys until they expire. Sessions use only Get, Set and
// Delete. Other abilities of a store are optional interfaces, [Toucher] to
// [Closer], which [As] finds.
//
// Times are [Millis] since 1970. Each operation takes the current time, so that all
// parts of a program and its tests share one clock. An expiry is the first
// millisecond at which the record is gone; 0 means never. An expired record is
// absent in every respect.
//
// The first eight bytes of a value are its revision (see [abi.Revision]), which
// [Write.Expect] compares. Keys have 1 to [abi.MaxKey] bytes, values 0 to
// [abi.MaxValue]. A store may have lower limits and then returns [ErrTooLarge].
//
// A store that is a cache may drop any record at any time to make room. A record it
// returns is always the one written last.
//
// Errors are those of this package, often wrapped with detail: test them with
// [errors.Is].
//
// All methods may be called by many goroutines at once. Operations on one key have
// one order. An operation whose context is cancelled before it begins returns the
// context's error and has no effect; once begun, it runs to its end.
//
// A store that waits, for its turn or for an answer over the network, waits no
// longer than its context lasts, deadline or not. It then returns the context's
// error or one that wraps it. The caller then does not know the fate of a write
// that had begun: it was stored whole or not at all, or will be in a moment. StoreTimeout of
// sessions relies on this; a store that ignores its context holds a request as long as it
// likes. Nor does the caller know the fate of a write that failed with [ErrUnavailable]:
// a server may have done it, and its answer got lost. A context belongs to one operation: a store must not keep it after the
// operation has returned.
type Store interface {
	// Get returns the value stored under key, or ErrNotFound if there is none. The
	// value's memory belongs to the caller.
	Get(ctx context.Context, key []byte, now Millis) ([]byte, error)

	// Set stores a value if w.Expect allows it, and otherwise returns ErrConflict.
	// The store keeps neither key nor value after it returns.
	Set(ctx context.Context, w Write) error

	// Delete removes a record. A missing record is not an error.
	Delete(ctx context.Context, key []byte, now Millis) error
}

// Write is what Set stores.
type Write struct {
	Key, Value []byte

	// Expires is the first millisecond at which the record is gone, 0 for never. If
	// it has already passed, Set removes the record, under the same condition.
	Expires Millis

	// Now is the time of the operation.
	Now Millis

	// Expect is the condition: [Any], [Absent], or the revision that the
	// stored value must have. An absent record has no revision.
	Expect int64
}

// Conditions of a Write that are not a revision.
const (
	Any    = abi.ExpectAny
	Absent = abi.ExpectAbsent
)

// Record is a stored value with its key and expiry.
type Record struct {
	Key, Value []byte
	Expires    Millis
}
