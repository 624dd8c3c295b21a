package guest

import "github.com/waddle-sessions/waddle/abi"

// Engine keeps values under keys until they expire.
//
// Times are absolute Unix milliseconds; an expiry of 0 means never, any other
// is the first millisecond at which the record is gone. An expired record is
// absent in every operation, whether or not its space has been given back.
//
// A key has 1 to [Info].MaxKey bytes and a value 0 to [Info].MaxValue: what is
// outside of that never reaches the engine.
type Engine interface {
	// Open is called once, before any operation. Settings that it does not
	// read, and settings that it reads and that are malformed, make the host
	// refuse the engine, without Open having to look: see Config.Err.
	Open(config *Config) error

	// Get returns the value under key, or ErrNotFound. The value must stay as
	// it is until the next call; it may be built in Scratch.
	Get(key []byte, now int64) ([]byte, error)

	// Set stores a value in place of what is there. An engine that is
	// registered with Info.CAS does so only if Write.Check allows it, and
	// removes the record instead if Write.Expired; one without never sees
	// an expired write.
	Set(w Write) error

	// Delete removes a record. That there is none is not an error.
	Delete(key []byte, now int64) error

	// Clear removes every record.
	Clear(now int64) error

	// Save returns when all that was accepted before is as durable as this
	// engine can make it. It may drop records that have expired.
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

	// Expect is the condition under which the value is stored; Check knows
	// what it means.
	Expect int64
}

// Expired reports whether what would be stored has expired already. The engine
// then removes what is under the key, under the same condition.
func (w *Write) Expired() bool { return Expired(w.Expires, w.Now) }

// Check returns nil if the write is allowed over what is stored, and
// ErrConflict if not. An expired record counts as not found; of the stored
// value only the first eight bytes, its revision, are looked at.
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

// Toucher is an engine that can change an expiry without rewriting the value.
// For one that is not, the host reads and writes.
type Toucher interface {
	// Touch gives an existing record a new expiry and leaves the value
	// alone, or returns ErrNotFound: it never creates a record. An expiry
	// that has passed removes the record.
	Touch(key []byte, expires, now int64) error
}

// Sweeper is an engine that can give back the space of expired records in
// small steps.
type Sweeper interface {
	// Sweep looks at about max records, going on where the last call
	// ended, and returns how many it removed.
	Sweep(max int, now int64) (removed int, err error)
}

// Flusher is an engine that can save in steps, between which others have their
// turn. One whose Save takes a moment has no need of it.
type Flusher interface {
	// Flush does the work of Save a part at a call. With the first call a
	// round begins, over the writes that came before it; each makes about
	// max of them durable and returns how many are left, about. 0 ends the
	// round: all that came before its beginning is durable. An error ends
	// it, too. Save may be called at any time, and does all at once.
	Flush(max int, now int64) (left int, err error)
}

// Lister is an engine that can enumerate its keys.
type Lister interface {
	// Keys adds the keys from a cursor on to the chunk, until Add says that
	// there is no room for one, and returns the cursor at which the next
	// call goes on: that of the key that was refused, or 0 if all are
	// through. The first call has the cursor 0; what else a cursor means is
	// the engine's business, but it is never negative. Keys may return
	// early, even with an empty chunk, to keep a call short.
	//
	// A key that is stored throughout the enumeration must appear at least
	// once; one that comes or goes meanwhile may or may not.
	Keys(chunk *KeyChunk, cursor, now int64) (next int64, err error)
}

// Snapshotter is an engine that can enumerate its records, so that they
// outlive the instance.
type Snapshotter interface {
	// Snapshot is to records that have not expired what Lister.Keys is to
	// keys.
	Snapshot(chunk *RecordChunk, cursor, now int64) (next int64, err error)
}

// Counter is an engine that tells what it holds and what it gave up, for whoever
// runs it. One that evicts should: nobody can tell a record that was evicted from
// one that never was.
type Counter interface {
	// Count takes a bounded time, whatever is stored.
	Count() Counts
}

// Counts are what one instance holds, and what it did since it was opened.
type Counts struct {
	// Records are those that are stored, those among them that have expired
	// and were not found yet. Bytes is the space that they take. Less than 0
	// stands for what is not known.
	Records, Bytes int64

	// Evicted counts records that were removed for want of room and had not
	// expired, Expired those that were removed because they had.
	Evicted, Expired uint64

	// Limit is the setting that has the engine evict, or answer ErrNoSpace:
	// the one to raise. Empty stands for none.
	Limit string
}

// Restorer is an engine that takes the records of a snapshot in a way of its
// own. For one that is not, each record is given to Engine.Set; an error there
// ends the list, with what came before it stored.
type Restorer interface {
	// Restore stores every record of a list whose records are all within
	// the limits of Info. Write.Expect is 0 throughout; records that have
	// expired are not in the list. An error must leave nothing changed,
	// which an engine can ensure by going through the list twice.
	Restore(records Records, now int64) error
}
