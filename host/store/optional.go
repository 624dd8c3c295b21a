package store

import (
	"context"
	"iter"
)

// Toucher is a Store that can change a record's expiry without its value.
type Toucher interface {
	// Touch gives an existing record a new expiry and changes neither value nor
	// revision. It returns ErrNotFound if there is no record, and never creates
	// one. An expiry that has passed removes the record.
	Touch(ctx context.Context, key []byte, expires, now Millis) error
}

// Clearer is a Store that can be emptied.
type Clearer interface {
	// Clear removes every record.
	Clear(ctx context.Context, now Millis) error
}

// Saver is a Store whose accepted writes may become durable only after a while.
type Saver interface {
	// Save makes every write accepted before it as durable as this store can, and
	// drops expired records.
	Save(ctx context.Context, now Millis) error
}

// Sweeper is a Store that can free the space of expired records in small steps.
type Sweeper interface {
	// Sweep looks at about max records, resuming where the last call ended, and
	// reports how many it removed.
	Sweep(ctx context.Context, max int, now Millis) (removed int, err error)
}

// Lister is a Store that can enumerate its keys. A key that is stored throughout
// appears at least once; one that is added or removed meanwhile may or may not
// appear. A non-nil error ends the sequence.
type Lister interface {
	Keys(ctx context.Context, now Millis) iter.Seq2[[]byte, error]
}

// Snapshotter is a Store whose records can be copied to another one. Snapshot
// enumerates as [Lister] does.
type Snapshotter interface {
	Snapshot(ctx context.Context, now Millis) iter.Seq2[Record, error]
}

// Restorer is a Store that takes records from another one. Restore stores each
// record, replacing any other with its key, and leaves out expired ones. An error
// in the sequence ends Restore, which returns it.
type Restorer interface {
	Restore(ctx context.Context, records iter.Seq2[Record, error], now Millis) error
}

// Closer is a Store that holds resources to release.
type Closer interface {
	// Close ends the store. Unless the store failed before, Close first saves
	// everything accepted. Later operations return ErrClosed. Closing twice is not
	// an error. The context bounds how long Close waits for operations that do not
	// return. A context that has already ended does not prevent saving.
	Close(ctx context.Context) error
}
