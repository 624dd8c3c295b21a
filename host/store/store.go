// Package store says what a storage engine is to the host: a Store keeps bytes
// under a key until they expire. Sessions are built on it without knowing
// whether the bytes go to a WebAssembly guest or to a Go map.
//
// The package also has a native Store, Memory, which is the reference that
// other stores are tested and measured against.
package store

import (
	"context"
	"iter"

	"github.com/waddle-sessions/waddle/abi"
)

// Store keeps values under keys until they expire.
//
// Times are absolute Unix milliseconds. Each operation is told what time it
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
	Get(ctx context.Context, key []byte, now int64) ([]byte, error)

	// Set stores a value if w.Expect allows it and returns ErrConflict if
	// not. The store keeps neither key nor value after it returns.
	Set(ctx context.Context, w Write) error

	// Touch gives an existing record a new expiry and changes neither value
	// nor revision. It returns ErrNotFound if there is no record: touching
	// never creates one. An expiry that has passed removes the record.
	Touch(ctx context.Context, key []byte, expires, now int64) error

	// Delete removes a record. That there is none is not an error.
	Delete(ctx context.Context, key []byte, now int64) error

	// Clear removes every record.
	Clear(ctx context.Context, now int64) error

	// Save makes all that was accepted before it durable, as far as this
	// store is, and drops what has expired.
	Save(ctx context.Context, now int64) error

	// Close ends the store; unless it failed before, everything accepted is
	// saved first. Later operations return ErrClosed. Closing twice is not an
	// error.
	Close(ctx context.Context) error
}

// Write is what Set stores.
type Write struct {
	Key, Value []byte

	// Expires is the first millisecond at which the record is gone, 0 for
	// never. If it has passed already, Set removes the record, under the
	// same condition.
	Expires int64

	// Now is the time of the operation.
	Now int64

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
	Expires    int64
}

// Sweeper is a Store that can give back the space of expired records in small
// steps.
type Sweeper interface {
	// Sweep looks at about max records, going on where the last call ended,
	// and reports how many it removed.
	Sweep(ctx context.Context, max int, now int64) (removed int, err error)
}

// Lister is a Store that can enumerate its keys. A key that is stored
// throughout appears at least once; one that comes or goes meanwhile may or may
// not. A non-nil error ends the sequence.
type Lister interface {
	Keys(ctx context.Context, now int64) iter.Seq2[[]byte, error]
}

// Snapshotter is a Store whose records can be carried to another one. Snapshot
// enumerates as [Lister] does; Restore stores each record it is given, whatever
// is there, but for those that have expired, which it leaves out.
type Snapshotter interface {
	Snapshot(ctx context.Context, now int64) iter.Seq2[Record, error]
	Restore(ctx context.Context, records iter.Seq2[Record, error], now int64) error
}
