package guest

import "github.com/waddle-sessions/waddle/abi"

// Engine keeps values under keys until they expire.
//
// Times are absolute Unix milliseconds. An expiry of 0 means never; any other is
// the first millisecond at which the record is gone. An expired record is absent
// in every operation, whether or not its space has been freed.
//
// A key has 1 to [Info].MaxKey bytes and a value 0 to [Info].MaxValue. Anything
// outside these limits never reaches the engine.
type Engine interface {
	// Open is called once, before any operation. The host refuses the engine if a
	// setting is one that Open does not read, or is malformed; Open need not
	// check for this: see Config.Err.
	Open(config *Config) error

	// Get returns the value under key, or ErrNotFound. The value must stay as
	// it is until the next call; it may be built in Scratch.
	Get(key []byte, now int64) ([]byte, error)

	// Set stores a value in place of what is there. An engine that is registered
	// with Info.CAS stores only if Write.Check allows it, and removes the record
	// instead if Write.Expired says so. An engine without CAS never receives an
	// expired write.
	Set(w Write) error

	// Delete removes a record. If there is none, that is not an error.
	Delete(key []byte, now int64) error

	// Clear removes every record.
	Clear(now int64) error

	// Save returns when everything that was accepted before is as durable as this
	// engine can make it. It may drop expired records.
	Save(now int64) error
}

// Write is what Engine.Set stores.
type Write struct {
	Key, Value []byte

	// Expires is the first millisecond at which the record is gone, 0 for
	// never.
	Expires int64

	// Now is the time of the operation.
	Now int64

	// Expect is the condition under which the value is stored. Check evaluates
	// it.
	Expect int64
}

// Expired reports whether the value to be stored has already expired. The engine
// then removes the record under the key, under the same condition.
func (w *Write) Expired() bool { return Expired(w.Expires, w.Now) }

// Check returns nil if the write is allowed over what is stored, and ErrConflict
// if not. An expired record counts as not found. Check reads only the first eight
// bytes of the stored value, its revision.
func (w *Write) Check(stored []byte, found bool) error {
	switch w.Expect {
	case abi.ExpectAny:
		return nil
	case abi.ExpectAbsent:
		if found {
			return ErrConflict
		}
		return nil
	}
	if !found || abi.Revision(stored) != uint64(w.Expect) {
		return ErrConflict
	}
	return nil
}

// Expired reports whether a record with this expiry is gone.
func Expired(expires, now int64) bool { return expires != 0 && now >= expires }

// Toucher is an engine that can change an expiry without rewriting the value. For
// other engines the host reads and writes the record.
type Toucher interface {
	// Touch gives an existing record a new expiry and leaves the value
	// alone, or returns ErrNotFound: it never creates a record. An expiry
	// that has passed removes the record.
	Touch(key []byte, expires, now int64) error
}

// Sweeper is an engine that can free the space of expired records in small steps.
type Sweeper interface {
	// Sweep looks at about max records, starting where the last call ended, and
	// returns how many it removed.
	Sweep(max int, now int64) (removed int, err error)
}

// Flusher is an engine that can save in steps, so that other calls get their turn
// in between. An engine whose Save takes only a moment does not need it.
type Flusher interface {
	// Flush does the work of Save one part per call. The first call begins a
	// round, over the writes made before it. Each call makes about max of them
	// durable and returns about how many are left. 0 ends the round: everything
	// written before the round began is durable. An error ends it, too. Save may
	// be called at any time, and saves everything at once.
	Flush(max int, now int64) (left int, err error)
}

// Lister is an engine that can enumerate its keys.
type Lister interface {
	// Keys adds keys to the chunk, starting at a cursor, until Add says that
	// there is no room for one. It returns the cursor for the next call: that of
	// the refused key, or 0 if there are no more. The first call has the cursor
	// 0. The engine decides what other cursors mean, but they are never negative.
	// Keys may return early, even with an empty chunk, to keep a call short.
	//
	// A key that is stored throughout the enumeration must appear at least once.
	// A key that is added or removed meanwhile may or may not appear.
	Keys(chunk *KeyChunk, cursor, now int64) (next int64, err error)
}

// Snapshotter is an engine that can enumerate its records, so that they can
// outlive the instance.
type Snapshotter interface {
	// Snapshot is to records that have not expired what Lister.Keys is to
	// keys.
	Snapshot(chunk *RecordChunk, cursor, now int64) (next int64, err error)
}

// Copier is an engine that must know when its instance is a copy. A host may take an
// instance through its init functions once and copy it, before Open. [Random] says what
// copies have in common. An engine that draws secrets in Open or later needs no
// Copied.
type Copier interface {
	// Copied is called once in each copy, before Open, and in no other instance. It
	// draws anew what copies must not have in common. After an error, the copy is
	// not used.
	Copied() error
}

// Counter is an engine that reports to its operator what it holds and what it
// gave up. An engine that evicts should be one: otherwise nobody can tell a
// record that was evicted from one that never existed.
type Counter interface {
	// Count takes a bounded time, whatever is stored.
	Count() Counts
}

// Counts are what one instance holds now, and what it has removed since it was
// opened.
type Counts struct {
	// Records is the number of stored records, including expired ones that were
	// not found yet. Bytes is the space that they take. A negative number means
	// unknown.
	Records, Bytes int64

	// Evicted counts records that were removed for lack of room and had not
	// expired; Expired counts those that were removed because they had.
	Evicted, Expired uint64

	// Limit is the setting that makes the engine evict, or answer ErrNoSpace: the
	// one to raise. Empty means none.
	Limit string
}

// Restorer is an engine that restores the records of a snapshot in its own way.
// For other engines, each record is given to Engine.Set; an error there ends the
// list, and the records before it stay stored.
type Restorer interface {
	// Restore stores every record of a list. All records are within the limits of
	// Info, Write.Expect is 0 throughout, and expired records are not in the
	// list. An error must leave nothing changed; an engine can ensure this by
	// going through the list twice.
	Restore(records Records, now int64) error
}
