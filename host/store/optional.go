package store

import (
	"context"
	"iter"
)

// Toucher is a Store that can give a record a new expiry without its value.
type Toucher interface {
	// Touch gives an existing record a new expiry and changes neither value
	// nor revision. It returns ErrNotFound if there is no record: touching
	// never creates one. An expiry that has passed removes the record.
	Touch(ctx context.Context, key []byte, expires, now Millis) error
}

// Clearer is a Store that can be emptied.
type Clearer interface {
	// Clear removes every record.
	Clear(ctx context.Context, now Millis) error
}

// Saver is a Store that may hold what it accepted for a while before it is durable.
type Saver interface {
	// Save makes all that was accepted before it durable, as far as this
	// store is, and drops what has expired.
	Save(ctx context.Context, now Millis) error
}

// Sweeper is a Store that can give back the space of expired records in small
// steps.
type Sweeper interface {
	// Sweep looks at about max records, going on where the last call ended,
	// and reports how many it removed.
	Sweep(ctx context.Context, max int, now Millis) (removed int, err error)
}

// Lister is a Store that can enumerate its keys. A key that is stored
// throughout appears at least once; one that comes or goes meanwhile may or may
// not. A non-nil error ends the sequence.
type Lister interface {
	Keys(ctx context.Context, now Millis) iter.Seq2[[]byte, error]
}

// Snapshotter is a Store whose records can be carried to another one. Snapshot
// enumerates as [Lister] does.
type Snapshotter interface {
	Snapshot(ctx context.Context, now Millis) iter.Seq2[Record, error]
}

// Restorer is a Store that takes records from another one. Restore stores each
// record it is given, whatever is there, but for those that have expired, which it
// leaves out. An error in what it is given ends it, and is returned.
type Restorer interface {
	Restore(ctx context.Context, records iter.Seq2[Record, error], now Millis) error
}

// Closer is a Store that holds what must be given back.
type Closer interface {
	// Close ends the store; unless it failed before, everything accepted is
	// saved first. Later operations return ErrClosed. Closing twice is not an
	// error. The context bounds how long Close waits for operations that do
	// not come back; one that has ended already does not keep a store from
	// being saved.
	Close(ctx context.Context) error
}
