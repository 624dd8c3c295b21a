package store

import (
	"context"
	"errors"
	"fmt"
)

// ErrOversized is returned when a stored value is larger than the caller allows. It
// is not ErrTooLarge, which a store may return for reasons of its own.
var ErrOversized = errors.New("store: the stored value is larger than was asked for")

// Bounded is a Store that returns a value only up to a given size, in memory that its
// reader has already. A larger value never leaves the store, so a very large one
// costs its reader no memory, and one that fits costs no allocation.
//
// GetInto is another form of Get, not an ability of its own. So callers, and [As]
// too, look for it only on the outermost store: the store beneath a wrapper would
// bypass the wrapper's Get. A wrapper that implements it passes it on by [AtMost].
type Bounded interface {
	// GetInto is Get, but returns ErrOversized for a value of more than most
	// bytes without copying it. The value lies in the memory of into, from any place
	// on, if its capacity suffices, or in fresh memory; [CopyInto] decides. Whatever
	// the outcome, the store may have written to into, all its capacity, and does
	// not touch it after it has returned. into may be nil.
	GetInto(ctx context.Context, key []byte, now Millis, into []byte, most int) ([]byte, error)
}

// AtMost returns the store itself if it is Bounded. Otherwise it returns a Bounded
// that calls the store's Get and drops values that are too large.
func AtMost(s Store) Bounded {
	if b, ok := s.(Bounded); ok {
		return b
	}
	return dropping{s}
}

type dropping struct{ store Store }

func (d dropping) GetInto(ctx context.Context, key []byte, now Millis, _ []byte, most int) ([]byte, error) {
	value, err := d.store.Get(ctx, key, now)
	if err == nil {
		err = CheckSize(len(value), most)
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// CheckSize returns ErrOversized for a stored value of more than most bytes.
func CheckSize(size, most int) error {
	if size > most {
		return fmt.Errorf("%w: the value is %d bytes: must be at most %d", ErrOversized, size, most)
	}
	return nil
}

// CopyInto returns a copy of a value in the memory of into if its capacity suffices,
// and otherwise in fresh memory of exactly the value's size.
func CopyInto(into, value []byte) []byte {
	if into == nil || cap(into) < len(value) {
		into = make([]byte, len(value))
	}
	into = into[:len(value)]
	copy(into, value)
	return into
}
