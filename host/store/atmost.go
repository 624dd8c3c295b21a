package store

import (
	"context"
	"errors"
	"fmt"
)

// ErrOversized is returned when a stored value is larger than the caller allows. It
// is not ErrTooLarge, which a store may return for reasons of its own.
var ErrOversized = errors.New("store: the stored value is larger than was asked for")

// Bounded is a Store that returns a value only up to a given size. A larger value
// never leaves the store, so a very large one costs its reader no memory.
//
// GetAtMost is another form of Get, not an ability of its own. So callers, and [As]
// too, look for it only on the outermost store: the store beneath a wrapper would
// bypass the wrapper's Get. A wrapper that implements it passes it on by [AtMost].
type Bounded interface {
	// GetAtMost is Get, but returns ErrOversized for a value of more than most
	// bytes without copying it.
	GetAtMost(ctx context.Context, key []byte, now Millis, most int) ([]byte, error)
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

func (d dropping) GetAtMost(ctx context.Context, key []byte, now Millis, most int) ([]byte, error) {
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
