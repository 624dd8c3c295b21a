// Package store says what a storage engine is to the host: a Store keeps bytes
// under a key until they expire. Sessions are built on it without knowing
// whether the bytes go to a WebAssembly guest or to a Go map.
//
// Only [Store] is required. The optional interfaces have one job each. As finds
// them in a store or in those that it wraps, and functions with the names of
// their methods ([Touch], [Save], [Keys], …) ask for them in one line:
//
//	removed, err := store.Sweep(ctx, s, 100, now)
//	if errors.Is(err, store.ErrUnsupported) { … }
//
// The package also has a native Store, Memory, which is the reference that
// other stores are tested and measured against.
package store

import (
	"context"

	"github.com/waddle-sessions/waddle/abi"
)

// Store keeps values under keys until they expire. Get, Set and Delete are all that
// sessions use. What else a store can do it says by further interfaces, [Toucher]
// to [Closer], for which [As] asks.
//
// Times are [Millis] since 1970. Each operation is told what time it
// is, so that all parts of a program and its tests share one clock. An expiry
// is the first millisecond at which the record is gone; 0 means never. An
// expired record is absent in every respect.
//
// The first eight bytes of a value are its revision (see [abi.Revision]), which
// [Write.Expect] compares. Keys have 1 to [abi.MaxKey] bytes, values 0 to
// [abi.MaxValue]; a store may take less and then answers [ErrTooLarge].
//
// A store may drop any record at any time to make room, if it is a cache by
// nature; a record it returns is always the one written last.
//
// Errors are those of this package, often wrapped with detail: test them with
// [errors.Is].
//
// All methods may be called by many goroutines at once. Operations on one key
// have one order. A context that is cancelled before an operation has begun
// makes it return the context's error without effect; once begun, an operation
// runs to its end.
//
// A store that waits for something, for its turn or for an answer over the
// network, waits no longer than its context lasts, deadline or not, and then
// returns the context's error or one that wraps it. What became of a write that
// had begun is then not known to the caller: it may have been stored, whole, or
// not. Sessions are bound by this (their StoreTimeout); a store that does not
// look at its context holds a request for as long as it likes. A context is of
// one operation and is not to be kept when that has returned.
type Store interface {
	// Get returns the value stored under key, in memory that is the caller's
	// from then on. It returns ErrNotFound if there is none.
	Get(ctx context.Context, key []byte, now Millis) ([]byte, error)

	// Set stores a value if w.Expect allows it and returns ErrConflict if
	// not. The store keeps neither key nor value after it returns.
	Set(ctx context.Context, w Write) error

	// Delete removes a record. That there is none is not an error.
	Delete(ctx context.Context, key []byte, now Millis) error
}

// Write is what Set stores.
type Write struct {
	Key, Value []byte

	// Expires is the first millisecond at which the record is gone, 0 for
	// never. If it has passed already, Set removes the record, under the
	// same condition.
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
