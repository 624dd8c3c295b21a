package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// RecordStore turns stored records into sessions and back. An application
// provides one, by Settings.Records, to keep sessions in a form of its own; the
// default keeps each [Record] as one value of a [store.Store].
//
// A record must come back with every exported field as it was stored: State, for
// example, tells a session from what is left of one that was ended. Bytes gives
// all of a record's values, and [ParseValues] makes them from it again.
//
// It is used by many goroutines at once. The key is a hash of the session's id;
// a RecordStore never learns the id.
type RecordStore interface {
	// Load returns the record under key. If now is 1, it does so even if the record has
	// expired, as long as it is there. It returns [store.ErrNotFound] if there is none
	// or it has expired by now, and [ErrDecode] or [store.ErrCorrupt] if there is one
	// that cannot be read. It must bound what it gets from a store by [store.AtMost]: a
	// storage may have anything, of any size.
	Load(ctx context.Context, key []byte, now store.Millis) (Record, error)

	// Store puts a record under key on the condition of [store.Write.Expect], to be
	// dropped at r.Expires. A record whose Expires has passed removes what is there, on
	// the same condition. It returns [store.ErrConflict] if the condition does not
	// hold.
	Store(ctx context.Context, key []byte, r *Record, expect int64, now store.Millis) error

	// Delete removes the record. It is not an error if there is none.
	Delete(ctx context.Context, key []byte, now store.Millis) error
}

// openRecords returns the RecordStore of a manager over a store.
func (s *Settings) openRecords(in store.Store) (RecordStore, error) {
	if s.Records == nil {
		return &records{in, store.AtMost(in), max(s.MaxSize, leastRead)}, nil
	}
	own, err := s.Records(in)
	switch {
	case err != nil:
		return nil, fmt.Errorf("session: opening the records: %w", err)
	case own == nil:
		return nil, wrong("%s is a function that returned nil: must return a RecordStore or an error", setting("Records"))
	}
	return own, nil
}

// records is the default RecordStore.
type records struct {
	store store.Store
	reads store.Bounded // reads the store with a bound
	most  int           // that a record may have to be read, in bytes
}

func (r *records) Load(ctx context.Context, key []byte, now store.Millis) (record Record, err error) {
	err = r.load(ctx, key, now, &record)
	return record, err
}

// load is Load into a record, which it changes only if there is no error.
func (r *records) load(ctx context.Context, key []byte, now store.Millis, into *Record) error {
	b, err := r.reads.GetInto(ctx, key, now, nil, r.most)
	if errors.Is(err, store.ErrOversized) {
		err = fmt.Errorf("%w: the record is larger than this program reads, which is at most Settings.MaxSize, or %d bytes if that is more; "+
			"if it was written with a larger MaxSize, set that until the sessions from then have ended: %v", ErrDecode, leastRead, err)
	}
	if err != nil {
		return err
	}
	return into.decode(b)
}

func (r *records) Store(ctx context.Context, key []byte, record *Record, expect int64, now store.Millis) error {
	return r.store.Set(ctx, store.Write{Key: key, Value: record.encode(), Expires: record.Expires, Now: now, Expect: expect})
}

func (r *records) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return r.store.Delete(ctx, key, now)
}

// isCorrupt reports whether a record is there but cannot be read.
func isCorrupt(err error) bool {
	return errors.Is(err, ErrDecode) || errors.Is(err, store.ErrCorrupt)
}
